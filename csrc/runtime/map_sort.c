// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sorting an array's list, wholly or its first few, and walking over it. Both sorts are stable and stay in effect. */
#include "runtime.h"

#include <string.h>

#define MOST_SELECTED 30

struct order {
	struct mb_array *array;
	uint32_t slot;
	uint32_t by;		/* enum mb_order; MB_BY_KEY stands for any slot */
	int text;
	int descending;
};

static int64_t statistic(const struct order *order, struct mb_entry *entry)
{
	const struct mb_stat *stat = mb_entry_stat(order->array, entry);

	switch (order->by) {
	case MB_BY_SUM:
		return stat->sum;
	case MB_BY_MIN:
		return stat->min;
	case MB_BY_MAX:
		return stat->max;
	case MB_BY_AVG:
		return mb_stat_average(stat);
	default:
		return stat->count;
	}
}

/* Whether `second` belongs before `first`. */
static int must_swap(const struct order *order, struct mb_entry *first, struct mb_entry *second)
{
	int64_t a, b;

	if (order->text) {
		a = strcmp(mb_slot_text(first->slot[order->slot]), mb_slot_text(second->slot[order->slot]));
		b = 0;
	} else if (order->by == MB_BY_KEY) {
		a = first->slot[order->slot];
		b = second->slot[order->slot];
	} else {
		a = statistic(order, first);
		b = statistic(order, second);
	}
	return order->descending ? a < b : a > b;
}

static struct order make_order(struct mb_array *array, uint32_t by, uint32_t key, int descending)
{
	struct order order = { .array = array, .by = by, .slot = key, .descending = descending };

	if (by == MB_BY_VALUE) {
		order.slot = array->shape.key_count;
		order.by = array->shape.value == MB_STATISTIC ? MB_BY_COUNT : MB_BY_KEY;
		order.text = array->shape.value == MB_STRING;
	} else if (by == MB_BY_KEY) {
		order.text = array->shape.string_keys >> key & 1;
	}
	return order;
}

/* Merge two chains that end in 0, linked by `next` only. */
static uint32_t merge(const struct order *order, uint32_t left, uint32_t right)
{
	uint32_t head = 0, *tail = &head;

	while (left && right) {
		struct mb_entry *a = mb_array_entry(order->array, left), *b = mb_array_entry(order->array, right);

		if (must_swap(order, a, b)) {
			*tail = right;
			tail = &b->next;
			right = b->next;
		} else {
			*tail = left;
			tail = &a->next;
			left = a->next;
		}
	}
	*tail = left ? left : right;
	return head;
}

static void relink(struct mb_array *array, uint32_t first)
{
	struct mb_entry *head = mb_array_entry(array, 0);
	uint32_t previous = 0, at = first;

	head->next = first;
	while (at) {
		struct mb_entry *entry = mb_array_entry(array, at);

		entry->previous = previous;
		previous = at;
		at = entry->next;
	}
	head->previous = previous;
}

/* Merge sort: run number n holds 2^n entries that came before those of lower runs. */
static void sort_all(const struct order *order)
{
	uint32_t runs[33] = { 0 }, at = mb_array_entry(order->array, 0)->next, sorted = 0, n;

	while (at) {
		struct mb_entry *entry = mb_array_entry(order->array, at);
		uint32_t run = at;

		at = entry->next;
		entry->next = 0;
		for (n = 0; runs[n]; n++) {
			run = merge(order, runs[n], run);
			runs[n] = 0;
		}
		runs[n] = run;
	}
	for (n = 0; n < 33; n++)
		sorted = merge(order, runs[n], sorted);
	relink(order->array, sorted);
}

/* Move `entry` back over those before it that belong after it, but not past the head. Returns whether it moved. */
static int sift(const struct order *order, struct mb_entry *entry, struct mb_entry *last)
{
	struct mb_array *array = order->array;
	struct mb_entry *head = mb_array_entry(array, 0), *at = last;

	while (at != head && must_swap(order, at, entry))
		at = mb_array_entry(array, at->previous);
	if (at == last)
		return 0;
	mb_array_unlink(array, entry);
	mb_array_link_after(array, entry, at);
	return 1;
}

/*
 * Bring the `limit` first to the front. What falls out of them stays right behind them, so the order of the rest is a side effect that
 * scripts can see: it is the one that SystemTap has.
 */
static void select_first(const struct order *order, int64_t limit)
{
	struct mb_array *array = order->array;
	struct mb_entry *last = mb_array_entry(array, mb_array_entry(array, 0)->next);
	uint32_t at = last->next;

	for (int64_t chosen = 1; at && chosen < limit; chosen++) {
		struct mb_entry *entry = mb_array_entry(array, at);

		at = entry->next;
		if (!sift(order, entry, last))
			last = entry;
	}
	while (at) {
		struct mb_entry *entry = mb_array_entry(array, at);

		at = entry->next;
		if (sift(order, entry, last))
			last = mb_array_entry(array, last->previous);
	}
}

/* A limit has 32 bits here; a negative one selects one entry, 0 sorts everything, as it always was. */
void mb_array_sort(struct mb_array *array, uint32_t by, uint32_t key, int descending, int has_limit, int64_t limit)
{
	struct order order = make_order(array, by, key, descending);
	int32_t chosen = has_limit ? (int32_t)(uint32_t)limit : 0;

	if (array->count < 2)
		return;
	if (chosen == 0 || chosen > MOST_SELECTED)
		sort_all(&order);
	else
		select_first(&order, chosen);
}

/* --- walking --- */

/* The slices are in iterator->slices already. */
void mb_iterate(struct mb_iterator *iterator, struct mb_array *array, int has_limit, int64_t limit, uint32_t mask)
{
	iterator->array = array;
	iterator->remaining = has_limit ? limit : INT64_MAX;
	iterator->mask = mask;
	iterator->at = 0;
}

/*
 * NULL at the end. Entries that a slice leaves out count against the limit. What comes next is asked for when it is due, so sorting the same
 * array inside the loop changes where the loop goes on.
 */
struct mb_entry *mb_iterate_next(struct mb_iterator *iterator)
{
	while (iterator->remaining > 0) {
		struct mb_entry *entry;

		iterator->at = mb_array_entry(iterator->array, iterator->at)->next;
		if (!iterator->at)
			return NULL;
		entry = mb_array_entry(iterator->array, iterator->at);
		iterator->remaining--;
		if (mb_array_matches(iterator->array, entry, iterator->slices, iterator->mask))
			return entry;
	}
	return NULL;
}
