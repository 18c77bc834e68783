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

static int64_t member_offset(const struct image *image, const struct btf_type *type, const uint8_t *at,
			     const char *name)
{
	for (uint32_t i = 0; i < BTF_INFO_VLEN(type->info); i++) {
		struct btf_member member;
		uint32_t bits;

		memcpy(&member, at + i * sizeof(member), sizeof(member));
		bits = BTF_INFO_KFLAG(type->info) ? BTF_MEMBER_BIT_OFFSET(member.offset) : member.offset;
		if (is_name(image, member.name_off, name))
			return bits / 8;
	}
	return -ENOENT;
}

/* The byte offset of a direct member of a structure; -ENOENT, or -EINVAL for something that is not BTF. */
int64_t mb_btf_member(const void *data, uint64_t size, const char *structure, const char *member)
{
	struct image image;
	const uint8_t *at;
	int ret = open_image(&image, data, size);

	if (ret)
		return ret;
	for (at = image.types; at < image.types_end;) {
		struct btf_type type;
		uint64_t rest;

		if ((uint64_t)(image.types_end - at) < sizeof(type))
			return -EINVAL;
		memcpy(&type, at, sizeof(type));
		at += sizeof(type);
		rest = trailer(type.info);
		if ((uint64_t)(image.types_end - at) < rest)
			return -EINVAL;
		if (BTF_INFO_KIND(type.info) == BTF_KIND_STRUCT && is_name(&image, type.name_off, structure))
			return member_offset(&image, &type, at, member);
		at += rest;
	}
	return -ENOENT;
}
