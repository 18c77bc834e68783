"""A program annotated with `markbridge/marker.h`, in C and in C++."""

from __future__ import annotations

from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "csrc" / "include"

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <markbridge/marker.h>
enum color { RED, GREEN = 5 };
enum deep { LOW = -3, HIGH = 3 };
struct node { struct node *next; int value; };
MARKBRIDGE_SEMAPHORE(demo, sem);
static const char *const names[] = { "red", "green" };
static long counter = 3;
#ifdef __cplusplus
#define BOOL bool
#else
#define BOOL _Bool
#endif
__attribute__((noinline))
int work(int a, unsigned char b, short c, const char *d, struct node *n)
{
	char text[16] = "array";
	double f = a * 0.5;
	BOOL flag = a > 2;
	enum color e = GREEN;
	enum deep low = LOW;
	const volatile unsigned fixed = 4000000000u;
	MARKBRIDGE_MARK(demo, none);
	MARKBRIDGE_MARK(demo, one, a);
	MARKBRIDGE_MARK(demo, many, a, b, c, d, n->value, text, f, 7, -1L, flag, e,
			names[a & 1]);
	MARKBRIDGE_MARK(demo, more, 18446744073709551615ULL, "literal", counter, &counter,
			n, (float)f, (unsigned short)a, low, fixed, (signed char)-7);
	if (MARKBRIDGE_ENABLED(demo, sem))
		MARKBRIDGE_MARK_SEMAPHORE(demo, sem, a, counter);
	return a + text[0];
}
int main(int argc, char **argv)
{
	struct node n = { 0, -9 };
	int rounds = argc > 1 ? atoi(argv[1]) : 2;
	for (int i = 0; i < rounds; i++)
		work(i, (unsigned char)(250 + i), (short)-i, "str", &n);
	return 0;
}
"""
# The sizes of the arguments: negative is signed, None a float.
SIZES: dict[str, list[int | None]] = {
    "none": [],
    "one": [-4],
    "many": [-4, 1, -2, 8, -4, 8, None, -4, -8, 1, 4, 8],
    "more": [8, 8, -8, 8, 8, None, 2, -4, 4, -1],
    "sem": [-4, -8],
}
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{INCLUDE}")
