// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is in the memory of a process: see process.h. Source: proc(5), /proc/pid/maps; vdso(7). */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/system_calls.h"

#define PAGE UINT64_C(4096)
#define VDSO_MAX (UINT64_C(1) << 20)

int mb_process_memory(void *context, uint64_t address, void *dest, size_t bytes)
{
	const struct mb_process *process = context;
	struct iovec local = { dest, bytes }, remote = { (void *)(uintptr_t)address, bytes };
	const ssize_t ret = process_vm_readv((pid_t)process->pid, &local, 1, &remote, 1, 0);

	return ret >= 0 && (size_t)ret == bytes ? 0 : -EFAULT;
}

/* --- modules --- */

int mb_process_know(struct mb_process *process, const char *path)
{
	struct mb_known *known;
	struct stat status;

	if (mb_stat(path, &status))
		return 0;	/* nobody can have it in memory */
	known = calloc(1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	known->device = status.st_dev;
	known->inode = status.st_ino;
	known->next = process->known;
	process->known = known;
	return 0;
}

/* Which file a module is, and whether the session was told to know it. */
static void identify(const struct mb_process *process, struct mb_module *module, int file)
{
	struct stat status;

	if (mb_fstat(file, &status))
		return;
	module->device = status.st_dev;
	module->inode = status.st_ino;
	for (const struct mb_known *known = process->known; known; known = known->next)
		if (known->device == status.st_dev && known->inode == status.st_ino)
			module->is_known = 1;
}

/*
 * Open what is mapped, with O_PATH or to read: through the kernel's own link, which takes CAP_CHECKPOINT_RESTORE, or by its path in
 * the root of the process, or in ours. The path is one of the process's mount namespace.
 */
static int open_mapped(const struct mb_process *process, const struct mb_mapping *mapping, const char *path, int flags)
{
	char name[96];
	int file;

	snprintf(name, sizeof(name), "/proc/%" PRId64 "/map_files/%" PRIx64 "-%" PRIx64, process->pid, mapping->start, mapping->end);
	file = open(name, flags | O_CLOEXEC);
	if (file >= 0)
		return file;
	snprintf(name, sizeof(name), "/proc/%" PRId64 "/root", process->pid);
	file = mb_open_below(name, path, flags);
	return file >= 0 ? file : open(path, flags | O_CLOEXEC);
}

static struct mb_module *new_module(const struct mb_process *process, const struct mb_mapping *mapping, const char *path, const char *file)
{
	struct mb_module *module = calloc(1, sizeof(*module));
	int opened;

	if (!module)
		return NULL;
	module->path = strdup(path);
	module->file = strdup(file);
	if (!module->path || !module->file) {
		free(module->path);
		free(module->file);
		free(module);
		return NULL;
	}
	opened = open_mapped(process, mapping, path, O_PATH);
	if (opened >= 0) {
		identify(process, module, opened);
		close(opened);
	}
	return module;
}

static struct mb_module *module_of(struct mb_process *process, const struct mb_mapping *mapping, const char *path, const char *file)
{
	struct mb_module **at = &process->modules;

	for (; *at; at = &(*at)->next)
		if (strcmp((*at)->path, path) == 0 && strcmp((*at)->file, file) == 0)
			return *at;
	*at = new_module(process, mapping, path, file);
	return *at;
}

void mb_process_free(struct mb_process *process)
{
	struct mb_module *next;
	struct mb_known *after;

	for (struct mb_module *module = process->modules; module; module = next) {
		next = module->next;
		mb_image_free(module->image);
		free(module->path);
		free(module->file);
		free(module);
	}
	for (struct mb_known *known = process->known; known; known = after) {
		after = known->next;
		free(known);
	}
	mb_image_free(process->vdso.image);
	free(process->mapping);
	memset(process, 0, sizeof(*process));
}

/* The vdso is no file; it is the same in all processes that run the same machine code. */
static struct mb_image *read_vdso(struct mb_process *process, const struct mb_mapping *mapping)
{
	const uint64_t bytes = mapping->end - mapping->start;
	uint8_t *data = bytes <= VDSO_MAX ? malloc(bytes) : NULL;

	if (!data || mb_process_memory(process, mapping->start, data, bytes)) {
		free(data);
		return NULL;
	}
	return mb_image_of(data, bytes);
}

static struct mb_image *read_file(const struct mb_process *process, const struct mb_mapping *mapping)
{
	const int file = open_mapped(process, mapping, mapping->module->path, O_RDONLY | O_NONBLOCK);
	struct mb_image *image = mb_image_read(file);

	if (file >= 0)
		close(file);
	if (image)
		image->pid = process->pid;
	return image;
}

static struct mb_image *image_at(struct mb_process *process, const struct mb_mapping *mapping)
{
	struct mb_module *module = mapping->module;

	if (!module->is_tried) {
		module->is_tried = 1;
		module->image = module == &process->vdso ? read_vdso(process, mapping) : read_file(process, mapping);
	}
	return module->image;
}

/* --- mappings --- */

/* The name of the file, in which a newline is written as \012. */
static void unescape(char *path)
{
	char *to = path;

	for (const char *at = path; *at; at++) {
		if (strncmp(at, "\\012", 4) == 0) {
			*to++ = '\n';
			at += 3;
		} else if (*at == '\n') {
			break;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
}

static int add_mapping(struct mb_process *process, const struct mb_mapping *mapping)
{
	if (process->count == process->room) {
		const uint32_t room = process->room ? 2 * process->room : 64;
		struct mb_mapping *larger = realloc(process->mapping, room * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		process->mapping = larger;
		process->room = room;
	}
	process->mapping[process->count++] = *mapping;
	return 0;
}

/* `7f2b4c000000-7f2b4c021000 r-xp 00026000 08:01 131 /usr/lib/libc.so.6`; only files count, and the vdso. */
static int add_line(struct mb_process *process, char *line)
{
	struct mb_mapping mapping;
	int file = 0, file_end = 0, path = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %n%*s %*s%n %n", &mapping.start, &mapping.end, &mapping.offset, &file,
		   &file_end, &path) < 3)
		return 0;
	if (!path || (line[path] != '/' && strncmp(line + path, "[vdso]", 6) != 0))
		return 0;
	unescape(line + path);
	line[file_end] = '\0';
	mapping.module = line[path] == '/' ? module_of(process, &mapping, line + path, line + file) : &process->vdso;
	return mapping.module ? add_mapping(process, &mapping) : -ENOMEM;
}

int mb_process_read(struct mb_process *process, int64_t pid, uint64_t hit)
{
	static char vdso[] = "vdso";
	char name[64], *line = NULL;
	size_t room = 0;
	int ret = 0;
	FILE *file;

	if (hit && process->hit == hit && process->pid == pid)
		return 0;
	process->vdso.path = vdso;
	process->vdso.is_known = 1;
	process->pid = pid;
	process->hit = hit;
	process->count = 0;
	snprintf(name, sizeof(name), "/proc/%" PRId64 "/maps", pid);
	file = fopen(name, "re");
	if (!file)
		return -errno;
	while (!ret && getline(&line, &room, file) > 0)
		ret = add_line(process, line);
	free(line);
	fclose(file);
	return ret;
}

static const struct mb_mapping *find(const struct mb_process *process, uint64_t address)
{
	uint32_t low = 0, high = process->count;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (process->mapping[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < process->mapping[low - 1].end ? &process->mapping[low - 1] : NULL;
}

/* A file that is no program takes what is mapped of it without a gap. */
static void extent(const struct mb_process *process, const struct mb_mapping *mapping, struct mb_place *place)
{
	const struct mb_mapping *first = mapping, *last = mapping, *end = process->mapping + process->count;

	while (first > process->mapping && first[-1].module == first->module && first[-1].end == first->start)
		first--;
	while (last + 1 < end && last[1].module == last->module && last[1].start == last->end)
		last++;
	place->start = first->start;
	place->end = last->end;
}

void mb_process_place(struct mb_process *process, uint64_t address, struct mb_place *place)
{
	const struct mb_mapping *mapping = find(process, address);
	struct mb_image *image;

	memset(place, 0, sizeof(*place));
	if (!mapping)
		return;
	place->module = mapping->module;
	extent(process, mapping, place);
	image = image_at(process, mapping);
	if (image && !mb_image_bias(image, mapping->start, mapping->offset, &place->bias)) {
		place->start = image->low + place->bias;
		place->end = image->high + place->bias;
	}
}

int mb_process_bias(struct mb_process *process, const char *path, uint64_t *bias)
{
	struct stat status;

	if (mb_stat(path, &status))
		return -ENOENT;
	for (uint32_t i = 0; i < process->count; i++) {
		const struct mb_mapping *mapping = &process->mapping[i];
		struct mb_image *image;

		if (mapping->module->inode != status.st_ino || mapping->module->device != status.st_dev)
			continue;
		image = image_at(process, mapping);
		if (image && !mb_image_bias(image, mapping->start, mapping->offset, bias))
			return 0;
	}
	return -ENOENT;
}

int mb_process_step(struct mb_process *process, struct mb_frame *frame)
{
	const struct mb_frame_memory memory = { mb_process_memory, process };
	struct mb_place place;

	mb_process_place(process, frame->reg[MB_FRAME_PC] - (uint64_t)(frame->after_call != 0), &place);
	if (!place.module || !place.module->is_known || !place.module->image)
		return -ENXIO;
	return mb_image_step(place.module->image, place.bias, frame, &memory);
}
