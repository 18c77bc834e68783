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
#include <time.h>
#include <unistd.h>

#include "runtime/system_calls.h"

#define PAGE UINT64_C(4096)
#define VDSO_MAX (UINT64_C(1) << 20)
#define MOST_TOLD 512			/* mappings that a process made since it began */
#define DEEPEST_COPY 8			/* copies of copies of a process */
#define RECENT_NS UINT64_C(20000000)	/* mappings that a hit may be older than */

static int read_memory(const struct mb_process *process, uint64_t address, void *dest, size_t bytes)
{
	struct iovec local = { dest, bytes }, remote = { (void *)(uintptr_t)address, bytes };
	const ssize_t ret = process_vm_readv((pid_t)process->pid, &local, 1, &remote, 1, 0);

	return ret >= 0 && (size_t)ret == bytes ? 0 : -EFAULT;
}

/* Whether one of the pages was not there. */
static int is_absent(const struct mb_taken *taken, uint64_t address, size_t bytes)
{
	const uint64_t page = address / PAGE - taken->address / PAGE, last = (address + bytes - 1) / PAGE - taken->address / PAGE;

	return last > 63 || (taken->absent >> page | taken->absent >> last) & 1;
}

int mb_process_memory(void *context, uint64_t address, void *dest, size_t bytes)
{
	struct mb_process *process = context;
	struct mb_taken *taken = &process->taken;

	if (!taken->bytes)
		return read_memory(process, address, dest, bytes);
	if (address < taken->address || bytes > taken->count || address - taken->address > taken->count - bytes ||
	    is_absent(taken, address, bytes)) {
		taken->beyond = 1;
		return -EFAULT;
	}
	memcpy(dest, taken->bytes + (address - taken->address), bytes);
	return 0;
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
	for (uint32_t i = 0; i < MB_PROCESSES; i++)
		free(process->kept[i].mapping);
	mb_mapped_close(process->mapped);
	memset(process, 0, sizeof(*process));
}

/* The vdso is no file; it is the same in all processes that run the same machine code. */
static struct mb_image *read_vdso(struct mb_process *process, const struct mb_mapping *mapping)
{
	const uint64_t bytes = mapping->end - mapping->start;
	uint8_t *data = bytes <= VDSO_MAX ? malloc(bytes) : NULL;

	if (!data || read_memory(process, mapping->start, data, bytes)) {
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

static int add_mapping(struct mb_mappings *to, const struct mb_mapping *mapping)
{
	if (to->count == to->room) {
		const uint32_t room = to->room ? 2 * to->room : 64;
		struct mb_mapping *larger = realloc(to->mapping, room * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		to->mapping = larger;
		to->room = room;
	}
	to->mapping[to->count++] = *mapping;
	return 0;
}

/* `7f2b4c000000-7f2b4c021000 r-xp 00026000 08:01 131 /usr/lib/libc.so.6`; only files count, and the vdso. */
static int add_line(struct mb_process *process, struct mb_mappings *to, char *line)
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
	return mapping.module ? add_mapping(to, &mapping) : -ENOMEM;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Those of a process, or the ones that were not used for the longest time. */
static struct mb_mappings *kept_of(struct mb_process *process, int64_t pid)
{
	struct mb_mappings *oldest = &process->kept[0];

	for (uint32_t i = 0; i < MB_PROCESSES; i++) {
		struct mb_mappings *kept = &process->kept[i];

		if (kept->read_ns && kept->pid == pid)
			return kept;
		if (kept->used < oldest->used)
			oldest = kept;
	}
	oldest->pid = pid;
	oldest->count = 0;
	oldest->read_ns = 0;
	return oldest;
}

/* One that has ended, or is about to, has none: `to` keeps what it had. */
static int read_mappings(struct mb_process *process, struct mb_mappings *to)
{
	struct mb_mappings read = { .pid = to->pid, .used = to->used, .read_ns = monotonic_ns() };
	char name[64], *line = NULL;
	size_t room = 0;
	int ret = 0;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%" PRId64 "/maps", to->pid);
	file = fopen(name, "re");
	if (!file)
		return -errno;
	while (!ret && getline(&line, &room, file) > 0)
		ret = add_line(process, &read, line);
	free(line);
	fclose(file);
	if (!read.count) {
		free(read.mapping);
		return ret ? ret : -ESRCH;
	}
	free(to->mapping);
	*to = read;
	return ret;
}

/* --- what processes have mapped that have ended --- */

static struct mb_module *mapped_module(void *context, const struct mb_mapped_event *event, const char *path, const char *file)
{
	const struct mb_mapping mapping = { .start = event->start, .end = event->end, .offset = event->offset };
	struct mb_process *process = context;
	const int64_t pid = process->pid;
	struct mb_module *module;

	if (path[0] != '/')
		return &process->vdso;
	process->pid = event->pid;	/* through whom the file is opened */
	module = module_of(process, &mapping, path, file);
	process->pid = pid;
	return module;
}

void mb_process_watch(struct mb_process *process)
{
	if (!process->mapped)
		process->mapped = mb_mapped_open();
}

void mb_process_take(struct mb_process *process)
{
	const struct mb_mapped_files files = { mapped_module, process };

	if (process->mapped)
		mb_mapped_take(process->mapped, &files);
}

/* A mapping takes the place of what was there. */
static int put_mapping(struct mb_mappings *to, const struct mb_mapping *mapping)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < to->count; i++)
		if (to->mapping[i].end <= mapping->start || to->mapping[i].start >= mapping->end)
			to->mapping[kept++] = to->mapping[i];
	to->count = kept;
	return add_mapping(to, mapping);
}

static int by_start(const void *a, const void *b)
{
	const struct mb_mapping *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* What a process had in its memory at a time, by what was told of it and of those that it is a copy of. */
static int told_mappings(struct mb_process *process, int64_t pid, uint64_t time_ns, struct mb_mappings *to, unsigned depth)
{
	struct mb_mapped_event event[MOST_TOLD];
	uint64_t fork_ns;
	int64_t parent;
	const int count = mb_mapped_events(process->mapped, pid, time_ns, event, MOST_TOLD, &parent, &fork_ns);
	int ret = 0;

	if (count < 0 && depth) {	/* it began before us */
		const int64_t own = to->pid;

		to->pid = pid;
		ret = read_mappings(process, to);
		to->pid = own;
		return ret;
	}
	if (count < 0)
		return count;
	if (parent && depth < DEEPEST_COPY)
		ret = told_mappings(process, parent, fork_ns, to, depth + 1);
	for (int i = 0; i < count && !ret; i++)
		ret = put_mapping(to, &(struct mb_mapping){ event[i].start, event[i].end, event[i].offset, event[i].module });
	return ret;
}

static int recall(struct mb_process *process, struct mb_mappings *to, uint64_t time_ns)
{
	struct mb_mappings told = { .pid = to->pid, .used = to->used };

	if (!process->mapped)
		return -ESRCH;
	if (told_mappings(process, to->pid, time_ns, &told, 0) || !told.count) {
		free(told.mapping);
		return -ESRCH;
	}
	qsort(told.mapping, told.count, sizeof(*told.mapping), by_start);
	told.read_ns = time_ns;
	free(to->mapping);
	*to = told;
	return 0;
}

int mb_process_read(struct mb_process *process, int64_t pid, uint64_t hit, uint64_t hit_ns)
{
	static char vdso[] = "vdso";
	struct mb_mappings *kept;

	if (hit && process->hit == hit && process->pid == pid)
		return 0;
	process->vdso.path = vdso;
	process->vdso.is_known = 1;
	process->pid = pid;
	process->hit = hit;
	process->hit_ns = hit_ns;
	process->taken = (struct mb_taken){ 0 };
	kept = kept_of(process, pid);
	kept->used = ++process->uses;
	process->now = kept;
	if (!hit_ns) {
		kept->count = 0;
		return read_mappings(process, kept);
	}
	mb_process_take(process);
	if (process->mapped && mb_mapped_exec_after(process->mapped, pid, hit_ns) && !recall(process, kept, hit_ns))
		return 0;
	if (kept->read_ns && kept->read_ns + RECENT_NS >= hit_ns)
		return 0;
	return read_mappings(process, kept) ? recall(process, kept, hit_ns) : 0;
}

int mb_process_is_there(const struct mb_process *process)
{
	return process->now && process->now->count;
}

int mb_process_knows(const struct mb_process *process, const struct mb_module *module)
{
	return module->is_known || process->hit_ns;
}

static const struct mb_mapping *find_in(const struct mb_mappings *in, uint64_t address)
{
	uint32_t low = 0, high = in ? in->count : 0;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (in->mapping[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < in->mapping[low - 1].end ? &in->mapping[low - 1] : NULL;
}

/* What was mapped since the mappings were read may be what is looked for. */
static const struct mb_mapping *find(struct mb_process *process, uint64_t address)
{
	const struct mb_mapping *found = find_in(process->now, address);

	if (found || !process->now || process->now->read_ns >= process->hit_ns || read_mappings(process, process->now))
		return found;
	return find_in(process->now, address);
}

/* A file that is no program takes what is mapped of it without a gap. */
static void extent(const struct mb_mappings *in, const struct mb_mapping *mapping, struct mb_place *place)
{
	const struct mb_mapping *first = mapping, *last = mapping, *end = in->mapping + in->count;

	while (first > in->mapping && first[-1].module == first->module && first[-1].end == first->start)
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
	extent(process->now, mapping, place);
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
	for (uint32_t i = 0; process->now && i < process->now->count; i++) {
		const struct mb_mapping *mapping = &process->now->mapping[i];
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
	if (!place.module || !mb_process_knows(process, place.module) || !place.module->image)
		return -ENXIO;
	return mb_image_step(place.module->image, place.bias, frame, &memory);
}
