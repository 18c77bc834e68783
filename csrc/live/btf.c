// SPDX-License-Identifier: LGPL-2.1-or-later
/* BTF, as far as the offset of a member needs it. Source: Documentation/bpf/btf.rst. */
#include "btf.h"

#include <errno.h>
#include <linux/btf.h>
#include <string.h>

struct image {
	const uint8_t *types, *types_end;
	const char *strings, *strings_end;
};

static int open_image(struct image *image, const uint8_t *data, uint64_t size)
{
	struct btf_header header;

	if (size < sizeof(header))
		return -EINVAL;
	memcpy(&header, data, sizeof(header));
	if (header.magic != BTF_MAGIC || header.hdr_len > size)
		return -EINVAL;
	if ((uint64_t)header.type_off + header.type_len > size - header.hdr_len ||
	    (uint64_t)header.str_off + header.str_len > size - header.hdr_len)
		return -EINVAL;
	image->types = data + header.hdr_len + header.type_off;
	image->types_end = image->types + header.type_len;
	image->strings = (const char *)data + header.hdr_len + header.str_off;
	image->strings_end = image->strings + header.str_len;
	return header.str_len && !image->strings_end[-1] ? 0 : -EINVAL;
}

/* Bytes that follow a type's record. */
static uint64_t trailer(uint32_t info)
{
	const uint64_t count = BTF_INFO_VLEN(info);

	switch (BTF_INFO_KIND(info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
	case BTF_KIND_ENUM64:
		return 12 * count;
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return 8 * count;
	default:
		return 0;
	}
}

static int is_name(const struct image *image, uint32_t offset, const char *name)
{
	if (offset >= (uint64_t)(image->strings_end - image->strings))
		return 0;
	return !strcmp(image->strings + offset, name);
}

/* Step over the type at `*at`, which is copied: 0, or -ENOENT at the end, -EINVAL for something that is not BTF. */
static int next_type(const struct image *image, const uint8_t **at, struct btf_type *type)
{
	uint64_t rest;

	if (*at >= image->types_end)
		return -ENOENT;
	if ((uint64_t)(image->types_end - *at) < sizeof(*type))
		return -EINVAL;
	memcpy(type, *at, sizeof(*type));
	rest = trailer(type->info);
	if ((uint64_t)(image->types_end - *at) - sizeof(*type) < rest)
		return -EINVAL;
	*at += sizeof(*type) + rest;
	return 0;
}

#define DEEPEST 8	/* unnamed structures within each other */

static int64_t member_offset(const struct image *image, const struct btf_type *type, const uint8_t *members, const char *name,
			     int depth);

/* The same in the structure of a number, which an unnamed member has. */
static int64_t offset_within(const struct image *image, uint32_t number, const char *name, int depth)
{
	const uint8_t *at = image->types, *start = at;
	struct btf_type type = { 0 };

	for (uint32_t i = 0; i < number; i++) {
		start = at;
		if (next_type(image, &at, &type))
			return -ENOENT;
	}
	if (BTF_INFO_KIND(type.info) != BTF_KIND_STRUCT && BTF_INFO_KIND(type.info) != BTF_KIND_UNION)
		return -ENOENT;
	return member_offset(image, &type, start + sizeof(type), name, depth + 1);
}

static int64_t member_offset(const struct image *image, const struct btf_type *type, const uint8_t *members, const char *name, int depth)
{
	for (uint32_t i = 0; depth < DEEPEST && i < BTF_INFO_VLEN(type->info); i++) {
		struct btf_member member;
		int64_t bits, within;

		memcpy(&member, members + i * sizeof(member), sizeof(member));
		bits = BTF_INFO_KFLAG(type->info) ? BTF_MEMBER_BIT_OFFSET(member.offset) : member.offset;
		if (is_name(image, member.name_off, name))
			return bits / 8;
		if (!is_name(image, member.name_off, ""))
			continue;
		within = offset_within(image, member.type, name, depth);
		if (within >= 0)
			return bits / 8 + within;
	}
	return -ENOENT;
}

/* The byte offset of a member of a structure, also in unnamed parts of it; -ENOENT, or -EINVAL for something that is not BTF. */
int64_t mb_btf_member(const void *data, uint64_t size, const char *structure, const char *member)
{
	struct image image;
	struct btf_type type;
	const uint8_t *at;
	int ret = open_image(&image, data, size);

	if (ret)
		return ret;
	for (at = image.types;;) {
		const uint8_t *start = at;

		ret = next_type(&image, &at, &type);
		if (ret)
			return ret;
		if (BTF_INFO_KIND(type.info) == BTF_KIND_STRUCT && is_name(&image, type.name_off, structure))
			return member_offset(&image, &type, start + sizeof(type), member, 0);
	}
}
