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
 * An argument is an integer of up to eight bytes, an enumeration, a boolean, a
 * pointer, an array, or a floating point number (which most tracers cannot read);
 * anything else, or one argument more, is an error of the compiler in one line.
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
 * Nothing need be declared for a semaphore that comes with the marker itself:
 *
 *	if (MARKBRIDGE_ACTIVE(provider, name))
 *		MARKBRIDGE_MARK_ACTIVE(provider, name, expensive());
 *
 * and several markers may share one, MARKBRIDGE_SHARED_SEMAPHORE(group) at file
 * scope (_EXTERN in other files): MARKBRIDGE_SHARED_ENABLED(group) asks for it, and
 * MARKBRIDGE_MARK_SHARED(group, provider, name, argument...) is one of them.
 *
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

/* --- what an argument is ---------------------------------------------------- */

/*
 * The kind of an argument is its size in bytes, negative for a number without a sign;
 * 100 + the size of a floating point number, MBRIDGE_POINTER for a pointer or an array,
 * and 0 for what cannot be an argument. A bit-field, which looks like the number that it
 * is part of, is refused by another rule of the language; clang has one for operands.
 */
#define MBRIDGE_POINTER 200
#ifdef __cplusplus
extern "C++" {
namespace mbridge {
template <class T, bool Enumeration> struct kind {
	static const int value = 0;
};
template <class T> struct kind<T, true> : kind<__underlying_type(T), false> { };
template <class T> struct kind<T *, false> { static const int value = MBRIDGE_POINTER; };
#define MBRIDGE_KIND_OF(type, number) \
	template <> struct kind<type, false> { static const int value = number; }
#define MBRIDGE_INTEGER_KIND(type) \
	MBRIDGE_KIND_OF(type, type(-1) < type(1) ? int(sizeof(type)) : -int(sizeof(type)))
MBRIDGE_KIND_OF(bool, -1);
MBRIDGE_INTEGER_KIND(char);
MBRIDGE_KIND_OF(signed char, 1);
MBRIDGE_KIND_OF(unsigned char, -1);
MBRIDGE_INTEGER_KIND(wchar_t);
MBRIDGE_INTEGER_KIND(char16_t);
MBRIDGE_INTEGER_KIND(char32_t);
#ifdef __cpp_char8_t
MBRIDGE_INTEGER_KIND(char8_t);
#endif
MBRIDGE_INTEGER_KIND(short);
MBRIDGE_KIND_OF(unsigned short, -int(sizeof(short)));
MBRIDGE_INTEGER_KIND(int);
MBRIDGE_INTEGER_KIND(unsigned);
MBRIDGE_INTEGER_KIND(long);
MBRIDGE_KIND_OF(unsigned long, -int(sizeof(long)));
__extension__ MBRIDGE_KIND_OF(long long, 8);
__extension__ MBRIDGE_KIND_OF(unsigned long long, -8);
MBRIDGE_KIND_OF(float, 100 + int(sizeof(float)));
MBRIDGE_KIND_OF(double, 100 + int(sizeof(double)));
MBRIDGE_KIND_OF(long double, 100 + int(sizeof(long double)));
MBRIDGE_KIND_OF(decltype(nullptr), MBRIDGE_POINTER);
/* By value: an array becomes a pointer, const and volatile fall off. Never called. */
template <class T> kind<T, __is_enum(T)> look(T);
template <class T> char refer(T &&);
char refer(...);
#ifndef __clang__
template <class T> __attribute__((always_inline)) inline T place(T x) { return x; }
__attribute__((always_inline)) inline const long double *place(const long double &x)
{
	return &x;
}
#endif
} /* namespace */
} /* extern "C++" */
#define MBRIDGE_KIND(x) decltype(mbridge::look(x))::value
#define MBRIDGE_ASSERT static_assert
#define MBRIDGE_NO_FIELD(i, x) (void)sizeof(mbridge::refer(x))
#else
/* gcc's type class 5: pointers and arrays. An enumeration is one of the integers. */
#define MBRIDGE_KIND(x) _Generic((x), \
	_Bool: -1, \
	char: (char)-1 < (char)1 ? 1 : -1, \
	signed char: 1, \
	unsigned char: -1, \
	short: 2, \
	unsigned short: -2, \
	int: 4, \
	unsigned: -4, \
	long: (int)sizeof(long), \
	unsigned long: -(int)sizeof(long), \
	long long: 8, \
	unsigned long long: -8, \
	float: 100 + (int)sizeof(float), \
	double: 100 + (int)sizeof(double), \
	long double: 100 + (int)sizeof(long double), \
	default: __builtin_classify_type(x) == 5 ? MBRIDGE_POINTER : 0)
#define MBRIDGE_ASSERT _Static_assert
#define MBRIDGE_NO_FIELD(i, x) \
	(void)__alignof__(__builtin_choose_expr(mbridge_kind##i != 0, x, 0))
#endif
#ifdef __clang__
#undef MBRIDGE_NO_FIELD
#define MBRIDGE_NO_FIELD(i, x) (void)0
#endif
#define MBRIDGE_DECLARE(i, x) \
	enum { mbridge_kind##i = MBRIDGE_KIND(x) }; \
	MBRIDGE_ASSERT(mbridge_kind##i != 0, \
		"markbridge: argument " #i " is no integer of up to " \
		"8 bytes, pointer, array, float, double or long double"); \
	MBRIDGE_NO_FIELD(i, x);
#define MBRIDGE_KINDS1(x1) MBRIDGE_DECLARE(1, x1)
#define MBRIDGE_KINDS2(x1, x2) \
	MBRIDGE_KINDS1(x1) MBRIDGE_DECLARE(2, x2)
#define MBRIDGE_KINDS3(x1, x2, x3) \
	MBRIDGE_KINDS2(x1, x2) MBRIDGE_DECLARE(3, x3)
#define MBRIDGE_KINDS4(x1, x2, x3, x4) \
	MBRIDGE_KINDS3(x1, x2, x3) MBRIDGE_DECLARE(4, x4)
#define MBRIDGE_KINDS5(x1, x2, x3, x4, x5) \
	MBRIDGE_KINDS4(x1, x2, x3, x4) MBRIDGE_DECLARE(5, x5)
#define MBRIDGE_KINDS6(x1, x2, x3, x4, x5, x6) \
	MBRIDGE_KINDS5(x1, x2, x3, x4, x5) MBRIDGE_DECLARE(6, x6)
#define MBRIDGE_KINDS7(x1, x2, x3, x4, x5, x6, x7) \
	MBRIDGE_KINDS6(x1, x2, x3, x4, x5, x6) MBRIDGE_DECLARE(7, x7)
#define MBRIDGE_KINDS8(x1, x2, x3, x4, x5, x6, x7, x8) \
	MBRIDGE_KINDS7(x1, x2, x3, x4, x5, x6, x7) MBRIDGE_DECLARE(8, x8)
#define MBRIDGE_KINDS9(x1, x2, x3, x4, x5, x6, x7, x8, x9) \
	MBRIDGE_KINDS8(x1, x2, x3, x4, x5, x6, x7, x8) MBRIDGE_DECLARE(9, x9)
#define MBRIDGE_KINDS10(x1, x2, x3, x4, x5, x6, x7, x8, x9, x10) \
	MBRIDGE_KINDS9(x1, x2, x3, x4, x5, x6, x7, x8, x9) MBRIDGE_DECLARE(10, x10)
#define MBRIDGE_KINDS11(x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11) \
	MBRIDGE_KINDS10(x1, x2, x3, x4, x5, x6, x7, x8, x9, x10) MBRIDGE_DECLARE(11, x11)
#define MBRIDGE_KINDS12(x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12) \
	MBRIDGE_KINDS11(x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11) MBRIDGE_DECLARE(12, x12)
/* Whether a tracer may follow one of so many arguments into memory. */
#define MBRIDGE_LEADS0 0
#define MBRIDGE_LEADS1 (MBRIDGE_LEADS0 || mbridge_kind1 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS2 (MBRIDGE_LEADS1 || mbridge_kind2 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS3 (MBRIDGE_LEADS2 || mbridge_kind3 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS4 (MBRIDGE_LEADS3 || mbridge_kind4 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS5 (MBRIDGE_LEADS4 || mbridge_kind5 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS6 (MBRIDGE_LEADS5 || mbridge_kind6 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS7 (MBRIDGE_LEADS6 || mbridge_kind7 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS8 (MBRIDGE_LEADS7 || mbridge_kind8 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS9 (MBRIDGE_LEADS8 || mbridge_kind9 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS10 (MBRIDGE_LEADS9 || mbridge_kind10 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS11 (MBRIDGE_LEADS10 || mbridge_kind11 == MBRIDGE_POINTER)
#define MBRIDGE_LEADS12 (MBRIDGE_LEADS11 || mbridge_kind12 == MBRIDGE_POINTER)

#define MBRIDGE_LONG_DOUBLE (100 + (int)sizeof(long double))
#define MBRIDGE_WIDE0 0
#define MBRIDGE_WIDE1 (MBRIDGE_WIDE0 || mbridge_kind1 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE2 (MBRIDGE_WIDE1 || mbridge_kind2 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE3 (MBRIDGE_WIDE2 || mbridge_kind3 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE4 (MBRIDGE_WIDE3 || mbridge_kind4 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE5 (MBRIDGE_WIDE4 || mbridge_kind5 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE6 (MBRIDGE_WIDE5 || mbridge_kind6 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE7 (MBRIDGE_WIDE6 || mbridge_kind7 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE8 (MBRIDGE_WIDE7 || mbridge_kind8 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE9 (MBRIDGE_WIDE8 || mbridge_kind9 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE10 (MBRIDGE_WIDE9 || mbridge_kind10 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE11 (MBRIDGE_WIDE10 || mbridge_kind11 == MBRIDGE_LONG_DOUBLE)
#define MBRIDGE_WIDE12 (MBRIDGE_WIDE11 || mbridge_kind12 == MBRIDGE_LONG_DOUBLE)

/*
 * "nor": a constant, a register or memory, wherever the compiler has the value at
 * hand. Of these clang always takes memory, where it would first have to store the
 * value; where there are registers enough for twelve arguments it is given "nr".
 *
 * A long double has to be in memory. clang puts it there; gcc would take two registers,
 * of which the note could name one, so it is given the address of a copy.
 *
 * The operand modifier %n prints the negative of a constant without the punctuation of
 * the assembler's, so the sizes are given negated; in the note a negative size means
 * signed.
 */
#if defined(__clang__) && \
	(defined(__x86_64__) || defined(__aarch64__) || defined(__powerpc64__) || \
	 (defined(__riscv) && __riscv_xlen == 64 && !defined(__riscv_e)))
#define MBRIDGE_AT_HAND "nr"
#else
#define MBRIDGE_AT_HAND "nor"
#endif
#ifdef __clang__
#define MBRIDGE_WIDE_AT "nor"
#define MBRIDGE_WIDE_VALUE(i, x) x
#define MBRIDGE_WIDE_TEXT(i) "%[mba" #i "]"
#else
#define MBRIDGE_WIDE_AT "nr"
#ifdef __cplusplus
#define MBRIDGE_WIDE_VALUE(i, x) mbridge::place(x)
#else
#define MBRIDGE_IS_WIDE(i, x, other) \
	__builtin_choose_expr(mbridge_kind##i == MBRIDGE_LONG_DOUBLE, x, other)
#define MBRIDGE_WIDE_VALUE(i, x) \
	MBRIDGE_IS_WIDE(i, &(long double){ MBRIDGE_IS_WIDE(i, x, 0) }, x)
#endif
#if defined(__x86_64__) || defined(__i386__)
#define MBRIDGE_WIDE_TEXT(i) "(%[mba" #i "])"
#elif defined(__aarch64__) || defined(__arm__)
#define MBRIDGE_WIDE_TEXT(i) "[%[mba" #i "]]"
#else
#define MBRIDGE_WIDE_TEXT(i) "0(%[mba" #i "])"
#endif
#endif
#define MBRIDGE_SAME(i, x) x
#define MBRIDGE_SIZE(i) \
	(mbridge_kind##i == MBRIDGE_POINTER ? -(int)sizeof(void *) : (int)mbridge_kind##i)
#define MBRIDGE_IN(i, where, value, x) \
	[mbs##i] "n"(MBRIDGE_SIZE(i)), [mba##i] where(value(i, x))
#define MBRIDGE_INS1(where, value, x1) MBRIDGE_IN(1, where, value, x1)
#define MBRIDGE_INS2(where, value, x1, x2) \
	MBRIDGE_INS1(where, value, x1), \
	MBRIDGE_IN(2, where, value, x2)
#define MBRIDGE_INS3(where, value, x1, x2, x3) \
	MBRIDGE_INS2(where, value, x1, x2), \
	MBRIDGE_IN(3, where, value, x3)
#define MBRIDGE_INS4(where, value, x1, x2, x3, x4) \
	MBRIDGE_INS3(where, value, x1, x2, x3), \
	MBRIDGE_IN(4, where, value, x4)
#define MBRIDGE_INS5(where, value, x1, x2, x3, x4, x5) \
	MBRIDGE_INS4(where, value, x1, x2, x3, x4), \
	MBRIDGE_IN(5, where, value, x5)
#define MBRIDGE_INS6(where, value, x1, x2, x3, x4, x5, x6) \
	MBRIDGE_INS5(where, value, x1, x2, x3, x4, x5), \
	MBRIDGE_IN(6, where, value, x6)
#define MBRIDGE_INS7(where, value, x1, x2, x3, x4, x5, x6, x7) \
	MBRIDGE_INS6(where, value, x1, x2, x3, x4, x5, x6), \
	MBRIDGE_IN(7, where, value, x7)
#define MBRIDGE_INS8(where, value, x1, x2, x3, x4, x5, x6, x7, x8) \
	MBRIDGE_INS7(where, value, x1, x2, x3, x4, x5, x6, x7), \
	MBRIDGE_IN(8, where, value, x8)
#define MBRIDGE_INS9(where, value, x1, x2, x3, x4, x5, x6, x7, x8, x9) \
	MBRIDGE_INS8(where, value, x1, x2, x3, x4, x5, x6, x7, x8), \
	MBRIDGE_IN(9, where, value, x9)
#define MBRIDGE_INS10(where, value, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10) \
	MBRIDGE_INS9(where, value, x1, x2, x3, x4, x5, x6, x7, x8, x9), \
	MBRIDGE_IN(10, where, value, x10)
#define MBRIDGE_INS11(where, value, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11) \
	MBRIDGE_INS10(where, value, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10), \
	MBRIDGE_IN(11, where, value, x11)
#define MBRIDGE_INS12(where, value, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12) \
	MBRIDGE_INS11(where, value, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11), \
	MBRIDGE_IN(12, where, value, x12)
#define MBRIDGE_TEXT(i, space) \
	".if %c[mbs" #i "] == 104\n.ascii \"" space "4f@%[mba" #i "]\"\n" \
	".elseif %c[mbs" #i "] == 108\n.ascii \"" space "8f@%[mba" #i "]\"\n" \
	".elseif %c[mbs" #i "] == 112\n.ascii \"" space "12f@" MBRIDGE_WIDE_TEXT(i) "\"\n" \
	".elseif %c[mbs" #i "] == 116\n.ascii \"" space "16f@" MBRIDGE_WIDE_TEXT(i) "\"\n" \
	".else\n.ascii \"" space "%n[mbs" #i "]@%[mba" #i "]\"\n.endif\n"
#define MBRIDGE_TEXTS1 MBRIDGE_TEXT(1, "")
#define MBRIDGE_TEXTS2 MBRIDGE_TEXTS1 MBRIDGE_TEXT(2, " ")
#define MBRIDGE_TEXTS3 MBRIDGE_TEXTS2 MBRIDGE_TEXT(3, " ")
#define MBRIDGE_TEXTS4 MBRIDGE_TEXTS3 MBRIDGE_TEXT(4, " ")
#define MBRIDGE_TEXTS5 MBRIDGE_TEXTS4 MBRIDGE_TEXT(5, " ")
#define MBRIDGE_TEXTS6 MBRIDGE_TEXTS5 MBRIDGE_TEXT(6, " ")
#define MBRIDGE_TEXTS7 MBRIDGE_TEXTS6 MBRIDGE_TEXT(7, " ")
#define MBRIDGE_TEXTS8 MBRIDGE_TEXTS7 MBRIDGE_TEXT(8, " ")
#define MBRIDGE_TEXTS9 MBRIDGE_TEXTS8 MBRIDGE_TEXT(9, " ")
#define MBRIDGE_TEXTS10 MBRIDGE_TEXTS9 MBRIDGE_TEXT(10, " ")
#define MBRIDGE_TEXTS11 MBRIDGE_TEXTS10 MBRIDGE_TEXT(11, " ")
#define MBRIDGE_TEXTS12 MBRIDGE_TEXTS11 MBRIDGE_TEXT(12, " ")

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
#define MBRIDGE_COUNTER(symbol) \
	MBRIDGE_C volatile unsigned short symbol __attribute__((visibility("hidden")))
#define MBRIDGE_COUNTER_HERE(symbol) \
	MBRIDGE_COUNTER(symbol); \
	volatile unsigned short symbol __attribute__((used, section(".probes"))) = 0
#define MARKBRIDGE_SEMAPHORE_EXTERN(provider, name) \
	MBRIDGE_COUNTER(MBRIDGE_SEMAPHORE_NAME(provider, name))
#define MARKBRIDGE_SEMAPHORE(provider, name) \
	MBRIDGE_COUNTER_HERE(MBRIDGE_SEMAPHORE_NAME(provider, name))
#define MARKBRIDGE_ENABLED(provider, name) \
	__builtin_expect(MBRIDGE_SEMAPHORE_NAME(provider, name) != 0, 0)

/* One semaphore for several markers, under a name of its own. */
#define MBRIDGE_SHARED_NAME(group) mbridge_shared_##group
#define MARKBRIDGE_SHARED_SEMAPHORE_EXTERN(group) MBRIDGE_COUNTER(MBRIDGE_SHARED_NAME(group))
#define MARKBRIDGE_SHARED_SEMAPHORE(group) MBRIDGE_COUNTER_HERE(MBRIDGE_SHARED_NAME(group))
#define MARKBRIDGE_SHARED_ENABLED(group) __builtin_expect(MBRIDGE_SHARED_NAME(group) != 0, 0)

/* A semaphore that nobody declares: whoever asks for it or marks with it brings it along. */
#define MBRIDGE_BROUGHT_NAME(provider, name) mbridge_brought_##provider##__##name
#define MBRIDGE_BRING(symbol) \
	".ifndef " symbol "\n" \
	".pushsection .probes,\"aw\",%%progbits\n" \
	".weak " symbol "\n" \
	".hidden " symbol "\n" \
	".balign 2\n" \
	symbol ": .zero 2\n" \
	".type " symbol ",%%object\n" \
	".size " symbol ",2\n" \
	".popsection\n" \
	".endif\n"
#define MBRIDGE_ACTIVE(symbol) \
	__extension__ ({ \
		extern volatile unsigned short mbridge_counter __asm__(symbol) \
			__attribute__((unused, visibility("hidden"))); \
		__asm__ __volatile__(MBRIDGE_BRING(symbol) :: ); \
		__builtin_expect(mbridge_counter != 0, 0); \
	})

/* --- the markers ---------------------------------------------------------- */

#ifdef MBRIDGE_NOTHING
#define MARKBRIDGE_MARK(...) do { } while (0)
#define MARKBRIDGE_MARK_SEMAPHORE(...) do { } while (0)
#define MARKBRIDGE_MARK_SHARED(...) do { } while (0)
#define MARKBRIDGE_MARK_ACTIVE(...) do { } while (0)
#define MARKBRIDGE_ACTIVE(provider, name) 0
#else
#define MARKBRIDGE_MARK(...) \
	MBRIDGE_CHOOSE(__VA_ARGS__)("", "0", __VA_ARGS__, MBRIDGE_END)
#define MARKBRIDGE_MARK_SEMAPHORE(...) \
	MBRIDGE_CHOOSE(__VA_ARGS__)("", MBRIDGE_COUNTED(__VA_ARGS__, MBRIDGE_END), \
		__VA_ARGS__, \
		MBRIDGE_END)
#define MARKBRIDGE_MARK_SHARED(group, ...) \
	MBRIDGE_CHOOSE(__VA_ARGS__)("", MBRIDGE_STRING(MBRIDGE_SHARED_NAME(group)), \
		__VA_ARGS__, \
		MBRIDGE_END)
#define MARKBRIDGE_MARK_ACTIVE(...) \
	MBRIDGE_CHOOSE(__VA_ARGS__)(MBRIDGE_BRING(MBRIDGE_BROUGHT(__VA_ARGS__, MBRIDGE_END)), \
		MBRIDGE_BROUGHT(__VA_ARGS__, MBRIDGE_END), __VA_ARGS__, MBRIDGE_END)
#define MARKBRIDGE_ACTIVE(provider, name) \
	MBRIDGE_ACTIVE(MBRIDGE_BROUGHT(provider, name, MBRIDGE_END))
#endif
#define MBRIDGE_COUNTED(provider, name, ...) \
	MBRIDGE_STRING(MBRIDGE_SEMAPHORE_NAME(provider, name))
#define MBRIDGE_BROUGHT(provider, name, ...) \
	MBRIDGE_STRING(MBRIDGE_BROUGHT_NAME(provider, name))

#define MBRIDGE_CHOOSE(...) \
	MBRIDGE_CHOOSE_(__VA_ARGS__, MBRIDGE_MANY, MBRIDGE_MANY, MBRIDGE_MANY, MBRIDGE_MANY, \
		MBRIDGE_MANY, MBRIDGE_MANY, MBRIDGE_MANY, MBRIDGE_MANY, \
		MBRIDGE_MARK12, MBRIDGE_MARK11, MBRIDGE_MARK10, MBRIDGE_MARK9, MBRIDGE_MARK8, \
		MBRIDGE_MARK7, MBRIDGE_MARK6, MBRIDGE_MARK5, MBRIDGE_MARK4, MBRIDGE_MARK3, \
		MBRIDGE_MARK2, MBRIDGE_MARK1, MBRIDGE_MARK0, MBRIDGE_NAMELESS, MBRIDGE_END)
#define MBRIDGE_CHOOSE_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, \
		a16, a17, a18, a19, a20, a21, a22, chosen, ...) chosen
#define MBRIDGE_MANY(...) MBRIDGE_ASSERT(0, "markbridge: a marker has 12 arguments at most")
#define MBRIDGE_NAMELESS(...) \
	MBRIDGE_ASSERT(0, "markbridge: a marker has a provider and a name")
#define MBRIDGE_MARK0(before, semaphore, provider, name, ...) \
	__asm__ __volatile__(before MBRIDGE_NOTE(provider, name, semaphore, "") :: )
#define MBRIDGE_MARK1(before, semaphore, provider, name, x1, ...) \
	MBRIDGE_EMIT(1, before, semaphore, provider, name, x1)
#define MBRIDGE_MARK2(before, semaphore, provider, name, x1, x2, ...) \
	MBRIDGE_EMIT(2, before, semaphore, provider, name, x1, x2)
#define MBRIDGE_MARK3(before, semaphore, provider, name, x1, x2, x3, ...) \
	MBRIDGE_EMIT(3, before, semaphore, provider, name, x1, x2, x3)
#define MBRIDGE_MARK4(before, semaphore, provider, name, x1, x2, x3, x4, ...) \
	MBRIDGE_EMIT(4, before, semaphore, provider, name, x1, x2, x3, x4)
#define MBRIDGE_MARK5(before, semaphore, provider, name, x1, x2, x3, x4, x5, ...) \
	MBRIDGE_EMIT(5, before, semaphore, provider, name, x1, x2, x3, x4, x5)
#define MBRIDGE_MARK6(before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, ...) \
	MBRIDGE_EMIT(6, before, semaphore, provider, name, x1, x2, x3, x4, x5, x6)
#define MBRIDGE_MARK7(before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, ...) \
	MBRIDGE_EMIT(7, before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7)
#define MBRIDGE_MARK8(before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, \
		x8, ...) \
	MBRIDGE_EMIT(8, before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8)
#define MBRIDGE_MARK9(before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, \
		x8, x9, ...) \
	MBRIDGE_EMIT(9, before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8, x9)
#define MBRIDGE_MARK10(before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, \
		x8, x9, x10, ...) \
	MBRIDGE_EMIT(10, before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8, \
		x9, x10)
#define MBRIDGE_MARK11(before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, \
		x8, x9, x10, x11, ...) \
	MBRIDGE_EMIT(11, before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8, \
		x9, x10, x11)
#define MBRIDGE_MARK12(before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, \
		x8, x9, x10, x11, x12, ...) \
	MBRIDGE_EMIT(12, before, semaphore, provider, name, x1, x2, x3, x4, x5, x6, x7, x8, \
		x9, x10, x11, x12)

/*
 * "memory" makes the compiler write what it still holds back, so that a tracer that
 * follows a pointer sees the buffer as the program does; without pointers nothing need
 * be written. Which of the statements is meant the compiler knows, and leaves out the
 * others without optimisation, too.
 */
#define MBRIDGE_EMIT(n, before, semaphore, provider, name, ...) \
	MBRIDGE_EMIT_(n, before MBRIDGE_NOTE(provider, name, semaphore, MBRIDGE_TEXTS##n), \
		__VA_ARGS__)
#define MBRIDGE_EMIT_(n, note, ...) \
	do { \
		MBRIDGE_KINDS##n(__VA_ARGS__) \
		if (MBRIDGE_WIDE##n) \
			__asm__ __volatile__(note :: MBRIDGE_INS##n(MBRIDGE_WIDE_AT, MBRIDGE_WIDE_VALUE, __VA_ARGS__) \
					     : "memory"); \
		else if (MBRIDGE_LEADS##n) \
			__asm__ __volatile__(note :: MBRIDGE_INS##n(MBRIDGE_AT_HAND, MBRIDGE_SAME, __VA_ARGS__) \
					     : "memory"); \
		else \
			__asm__ __volatile__(note :: MBRIDGE_INS##n(MBRIDGE_AT_HAND, MBRIDGE_SAME, __VA_ARGS__)); \
	} while (0)

#endif /* MARKBRIDGE_MARKER_H */
