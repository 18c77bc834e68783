/* SPDX-License-Identifier: 0BSD */
/*
 * Permission to use, copy, modify, and/or distribute this file for any purpose with
 * or without fee is hereby granted.
 *
 * THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD
 * TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN
 * NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR
 * CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR
 * PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION,
 * ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
 *
 * (This file alone: a program that includes it takes over no licence.)
 */
/*
 * marker.h - mark a place of a program so that tracers can find it.
 *
 *	MARKBRIDGE_MARK(provider, name, argument...)	up to twelve arguments
 *
 * costs two no-operation instructions and leaves a note in the file that says
 * where the place is and where each argument lies at that moment. The notes are
 * those of <sys/sdt.h> (".note.stapsdt", version 3), so SystemTap, gdb, perf,
 * bpftrace and markbridge all read them. Nothing is called, nothing is linked.
 * An argument is an integer, an enumeration, a boolean, a pointer, an array, or
 * a floating point number (which most tracers cannot read).
 *
 * The note points at a one-byte nop, where a tracer's breakpoint is always safe.
 * A ten-byte nop follows for tracers that replace it by a call. A five-byte nop
 * is not used: Linux 6.18 puts a call there that overwrites the red zone.
 *
 * Arguments that are expensive to compute stand behind a semaphore:
 *
 *	MARKBRIDGE_SEMAPHORE(provider, name);		once, at file scope
 *	...
 *	if (MARKBRIDGE_ENABLED(provider, name))
 *		MARKBRIDGE_MARK_SEMAPHORE(provider, name, expensive());
 *
 * Another file declares the same semaphore with MARKBRIDGE_SEMAPHORE_EXTERN.
 * Works in gnu99, C11 and later and in C++11 and later, with gcc and clang, on
 * ELF systems: x86-64 and aarch64, and with a plain nop i386, arm, ppc64le, s390x
 * and riscv, whose notes others read. Elsewhere a marker is nothing, and the
 * compiler says so once for each file.
 */
#ifndef MARKBRIDGE_MARKER_H
#define MARKBRIDGE_MARKER_H

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC system_header
#elif defined(__clang__)
#pragma clang system_header
#endif

#if !defined(__ELF__)
#define MBRIDGE_NOTHING
#elif defined(__x86_64__)
#define MBRIDGE_NOPS ".byte 0x90\n.byte 0x66,0x2e,0x0f,0x1f,0x84,0,0,0,0,0\n"
#elif defined(__aarch64__) || defined(__i386__) || defined(__arm__) || defined(__riscv) || \
	(defined(__powerpc64__) && defined(__LITTLE_ENDIAN__))
#define MBRIDGE_NOPS "nop\n"
#elif defined(__s390x__)
#define MBRIDGE_NOPS "nopr\n"
#else
#define MBRIDGE_NOTHING
#endif
#if __SIZEOF_POINTER__ == 4
#define MBRIDGE_ADDRESS ".4byte "
#else
#define MBRIDGE_ADDRESS ".8byte "
#endif
#ifdef MBRIDGE_NOTHING
#pragma message("markbridge/marker.h: markers are left out on this machine")
#endif

/* --- the size of an argument, its sign, and whether it is floating ---------- */

#ifdef __cplusplus
extern "C++" {
namespace mbridge {
template <class T> struct floating { static const bool value = false; };
template <> struct floating<float> { static const bool value = true; };
template <> struct floating<double> { static const bool value = true; };
template <> struct floating<long double> { static const bool value = true; };
template <class T, bool Enumeration> struct negative {
	static const bool value = T(-1) < T(1);
};
template <class T> struct negative<T, true> {
	typedef __underlying_type(T) number;
	static const bool value = number(-1) < number(1);
};
template <class T> struct negative<T *, false> { static const bool value = false; };
template <> struct negative<bool, false> { static const bool value = false; };
template <> struct negative<decltype(nullptr), false> { static const bool value = false; };
template <class T> struct traits {
	static const bool is_float = floating<T>::value;
	static const bool is_signed = negative<T, __is_enum(T)>::value;
	static const int bytes = int(sizeof(T));
};
/* By value: an array becomes a pointer, const and volatile fall off. Never called. */
template <class T> traits<T> look(T);
} /* namespace */
} /* extern "C++" */
#define MBRIDGE_SIGNED(x) (decltype(mbridge::look(x))::is_signed)
#define MBRIDGE_BYTES(x) (decltype(mbridge::look(x))::bytes)
#define MBRIDGE_FLOAT(x) (decltype(mbridge::look(x))::is_float ? 1 : 0)
#else
/* gcc's type classes: 1 to 4 integers, 5 pointers and arrays, 8 floating point. */
#define MBRIDGE_CLASS(x) __builtin_classify_type(x)
#define MBRIDGE_INTEGER(x) (MBRIDGE_CLASS(x) >= 1 && MBRIDGE_CLASS(x) <= 4)
#define MBRIDGE_NUMBER(x) __builtin_choose_expr(MBRIDGE_INTEGER(x), (x), 0U)
#define MBRIDGE_SIGNED(x) \
	((__typeof__(MBRIDGE_NUMBER(x)))-1 < (__typeof__(MBRIDGE_NUMBER(x)))1)
#define MBRIDGE_BYTES(x) (MBRIDGE_CLASS(x) == 5 ? (int)sizeof(void *) : (int)sizeof(x))
#define MBRIDGE_FLOAT(x) (MBRIDGE_CLASS(x) == 8 ? 1 : 0)
#endif

/*
 * "nor": a constant, a register or memory, wherever the compiler has the value at
 * hand. The operand modifier %n prints the negative of a constant without the
 * punctuation of the assembler's, so the sizes are given negated; in the note a
 * negative size means signed. Floating sizes are given as 100 + size. "memory" makes
 * the compiler write what it still holds back, so that a tracer that follows a pointer
 * sees the buffer as the program does.
 */
#define MBRIDGE_SIZE(x) \
	(MBRIDGE_FLOAT(x) ? 100 + MBRIDGE_BYTES(x) : \
	 MBRIDGE_SIGNED(x) ? MBRIDGE_BYTES(x) : -MBRIDGE_BYTES(x))
#define MBRIDGE_IN(i, x) [mbs##i] "n"(MBRIDGE_SIZE(x)), [mba##i] "nor"(x)
#define MBRIDGE_TEXT(i, space) \
	".if %c[mbs" #i "] == 104\n.ascii \"" space "4f\"\n" \
	".elseif %c[mbs" #i "] == 108\n.ascii \"" space "8f\"\n" \
	".elseif %c[mbs" #i "] == 116\n.ascii \"" space "16f\"\n" \
	".else\n.ascii \"" space "%n[mbs" #i "]\"\n.endif\n" \
	".ascii \"@%[mba" #i "]\"\n"

/* --- the note ------------------------------------------------------------- */

#define MBRIDGE_STRING(x) MBRIDGE_STRING_(x)
#define MBRIDGE_STRING_(x) #x

/*
 * ".stapsdt.base" is one byte whose link-time address is in each note: a prelinker
 * moves the file's sections and not the note, and the difference tells by how much.
 */
#define MBRIDGE_NOTE(provider, name, semaphore, arguments) \
	"990:\n" MBRIDGE_NOPS \
	".pushsection .note.stapsdt,\"?\",\"note\"\n" \
	".balign 4\n" \
	".4byte 992f-991f, 994f-993f, 3\n" \
	"991: .asciz \"stapsdt\"\n" \
	"992: .balign 4\n" \
	"993: " MBRIDGE_ADDRESS "990b\n" \
	MBRIDGE_ADDRESS "_.stapsdt.base\n" \
	MBRIDGE_ADDRESS semaphore "\n" \
	".asciz \"" MBRIDGE_STRING(provider) "\"\n" \
	".asciz \"" MBRIDGE_STRING(name) "\"\n" \
	arguments \
	".byte 0\n" \
	"994: .balign 4\n" \
	".popsection\n" \
	".ifndef _.stapsdt.base\n" \
	".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
	".weak _.stapsdt.base\n" \
	".hidden _.stapsdt.base\n" \
	"_.stapsdt.base: .space 1\n" \
	".size _.stapsdt.base, 1\n" \
	".popsection\n" \
	".endif\n"

/* --- semaphores ----------------------------------------------------------- */

#define MBRIDGE_SEMAPHORE_NAME(provider, name) provider##_##name##_semaphore
#ifdef __cplusplus
#define MBRIDGE_C extern "C"
#else
#define MBRIDGE_C extern
#endif
#define MARKBRIDGE_SEMAPHORE_EXTERN(provider, name) \
	MBRIDGE_C volatile unsigned short MBRIDGE_SEMAPHORE_NAME(provider, name) \
		__attribute__((visibility("hidden")))
#define MARKBRIDGE_SEMAPHORE(provider, name) \
	MARKBRIDGE_SEMAPHORE_EXTERN(provider, name); \
	volatile unsigned short MBRIDGE_SEMAPHORE_NAME(provider, name) \
		__attribute__((used, section(".probes"))) = 0
#define MARKBRIDGE_ENABLED(provider, name) \
	__builtin_expect(MBRIDGE_SEMAPHORE_NAME(provider, name) != 0, 0)

/* --- the markers ---------------------------------------------------------- */

#ifdef MBRIDGE_NOTHING
#define MARKBRIDGE_MARK(...) do { } while (0)
#define MARKBRIDGE_MARK_SEMAPHORE(...) do { } while (0)
#else
#define MARKBRIDGE_MARK(...) \
	MBRIDGE_CHOOSE(__VA_ARGS__)(MBRIDGE_PLAIN, __VA_ARGS__, MBRIDGE_END)
#define MARKBRIDGE_MARK_SEMAPHORE(...) \
	MBRIDGE_CHOOSE(__VA_ARGS__)(MBRIDGE_COUNTED, __VA_ARGS__, MBRIDGE_END)
#endif
#define MBRIDGE_PLAIN(provider, name) "0"
#define MBRIDGE_COUNTED(provider, name) MBRIDGE_STRING(provider##_##name##_semaphore)

#define MBRIDGE_CHOOSE(...) \
	MBRIDGE_CHOOSE_(__VA_ARGS__, MBRIDGE_MARK12, MBRIDGE_MARK11, MBRIDGE_MARK10, MBRIDGE_MARK9, \
		MBRIDGE_MARK8, MBRIDGE_MARK7, MBRIDGE_MARK6, MBRIDGE_MARK5, MBRIDGE_MARK4, \
		MBRIDGE_MARK3, MBRIDGE_MARK2, MBRIDGE_MARK1, MBRIDGE_MARK0, MBRIDGE_END)
#define MBRIDGE_CHOOSE_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, chosen, \
		...) chosen

#define MBRIDGE_MARK0(semaphore, provider, name, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), "") :: )
#define MBRIDGE_MARK1(semaphore, provider, name, x1, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "")) \
		:: MBRIDGE_IN(1, x1) : "memory")
#define MBRIDGE_MARK2(semaphore, provider, name, x1, x2, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2) : "memory")
#define MBRIDGE_MARK3(semaphore, provider, name, x1, x2, x3, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3) : "memory")
#define MBRIDGE_MARK4(semaphore, provider, name, x1, x2, x3, x4, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ") \
		MBRIDGE_TEXT(4, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3), \
		MBRIDGE_IN(4, x4) : "memory")
#define MBRIDGE_MARK5(semaphore, provider, name, x1, x2, x3, x4, x5, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ") \
		MBRIDGE_TEXT(4, " ") \
		MBRIDGE_TEXT(5, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3), \
		MBRIDGE_IN(4, x4), \
		MBRIDGE_IN(5, x5) : "memory")
#define MBRIDGE_MARK6(semaphore, provider, name, x1, x2, x3, x4, x5, x6, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ") \
		MBRIDGE_TEXT(4, " ") \
		MBRIDGE_TEXT(5, " ") \
		MBRIDGE_TEXT(6, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3), \
		MBRIDGE_IN(4, x4), \
		MBRIDGE_IN(5, x5), \
		MBRIDGE_IN(6, x6) : "memory")
#define MBRIDGE_MARK7(semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ") \
		MBRIDGE_TEXT(4, " ") \
		MBRIDGE_TEXT(5, " ") \
		MBRIDGE_TEXT(6, " ") \
		MBRIDGE_TEXT(7, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3), \
		MBRIDGE_IN(4, x4), \
		MBRIDGE_IN(5, x5), \
		MBRIDGE_IN(6, x6), \
		MBRIDGE_IN(7, x7) : "memory")
#define MBRIDGE_MARK8(semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ") \
		MBRIDGE_TEXT(4, " ") \
		MBRIDGE_TEXT(5, " ") \
		MBRIDGE_TEXT(6, " ") \
		MBRIDGE_TEXT(7, " ") \
		MBRIDGE_TEXT(8, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3), \
		MBRIDGE_IN(4, x4), \
		MBRIDGE_IN(5, x5), \
		MBRIDGE_IN(6, x6), \
		MBRIDGE_IN(7, x7), \
		MBRIDGE_IN(8, x8) : "memory")
#define MBRIDGE_MARK9(semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8, x9, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ") \
		MBRIDGE_TEXT(4, " ") \
		MBRIDGE_TEXT(5, " ") \
		MBRIDGE_TEXT(6, " ") \
		MBRIDGE_TEXT(7, " ") \
		MBRIDGE_TEXT(8, " ") \
		MBRIDGE_TEXT(9, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3), \
		MBRIDGE_IN(4, x4), \
		MBRIDGE_IN(5, x5), \
		MBRIDGE_IN(6, x6), \
		MBRIDGE_IN(7, x7), \
		MBRIDGE_IN(8, x8), \
		MBRIDGE_IN(9, x9) : "memory")
#define MBRIDGE_MARK10(semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, \
		...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ") \
		MBRIDGE_TEXT(4, " ") \
		MBRIDGE_TEXT(5, " ") \
		MBRIDGE_TEXT(6, " ") \
		MBRIDGE_TEXT(7, " ") \
		MBRIDGE_TEXT(8, " ") \
		MBRIDGE_TEXT(9, " ") \
		MBRIDGE_TEXT(10, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3), \
		MBRIDGE_IN(4, x4), \
		MBRIDGE_IN(5, x5), \
		MBRIDGE_IN(6, x6), \
		MBRIDGE_IN(7, x7), \
		MBRIDGE_IN(8, x8), \
		MBRIDGE_IN(9, x9), \
		MBRIDGE_IN(10, x10) : "memory")
#define MBRIDGE_MARK11(semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, \
		x11, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ") \
		MBRIDGE_TEXT(4, " ") \
		MBRIDGE_TEXT(5, " ") \
		MBRIDGE_TEXT(6, " ") \
		MBRIDGE_TEXT(7, " ") \
		MBRIDGE_TEXT(8, " ") \
		MBRIDGE_TEXT(9, " ") \
		MBRIDGE_TEXT(10, " ") \
		MBRIDGE_TEXT(11, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3), \
		MBRIDGE_IN(4, x4), \
		MBRIDGE_IN(5, x5), \
		MBRIDGE_IN(6, x6), \
		MBRIDGE_IN(7, x7), \
		MBRIDGE_IN(8, x8), \
		MBRIDGE_IN(9, x9), \
		MBRIDGE_IN(10, x10), \
		MBRIDGE_IN(11, x11) : "memory")
#define MBRIDGE_MARK12(semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, \
		x11, x12, ...) \
	__asm__ __volatile__(MBRIDGE_NOTE(provider, name, semaphore(provider, name), \
		MBRIDGE_TEXT(1, "") \
		MBRIDGE_TEXT(2, " ") \
		MBRIDGE_TEXT(3, " ") \
		MBRIDGE_TEXT(4, " ") \
		MBRIDGE_TEXT(5, " ") \
		MBRIDGE_TEXT(6, " ") \
		MBRIDGE_TEXT(7, " ") \
		MBRIDGE_TEXT(8, " ") \
		MBRIDGE_TEXT(9, " ") \
		MBRIDGE_TEXT(10, " ") \
		MBRIDGE_TEXT(11, " ") \
		MBRIDGE_TEXT(12, " ")) \
		:: MBRIDGE_IN(1, x1), \
		MBRIDGE_IN(2, x2), \
		MBRIDGE_IN(3, x3), \
		MBRIDGE_IN(4, x4), \
		MBRIDGE_IN(5, x5), \
		MBRIDGE_IN(6, x6), \
		MBRIDGE_IN(7, x7), \
		MBRIDGE_IN(8, x8), \
		MBRIDGE_IN(9, x9), \
		MBRIDGE_IN(10, x10), \
		MBRIDGE_IN(11, x11), \
		MBRIDGE_IN(12, x12) : "memory")

#endif /* MARKBRIDGE_MARKER_H */
