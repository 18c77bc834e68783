/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files in a process's memory, by address: from /proc/PID/maps, and the images of those whose symbols and call frame information
 * the session was told to know (the programs that it probes, and -d).
 */
#ifndef MB_PROCESS_H
#define MB_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "image.h"
#include "mapped.h"

/* A file that the session was told to know. */
struct mb_known {
	dev_t device;
	ino_t inode;
	struct mb_known *next;
};

/* A file that is, or was, in a process: named as /proc/PID/maps names it, where two can have the same path. */
struct mb_module {
	char *path;
	char *file;		/* its device and inode as they stand there */
	dev_t device;		/* as stat(2) has them; 0 and 0 if it could not be opened */
	ino_t inode;
	int is_known;		/* the session was told to know its symbols */
	int is_tried;
	struct mb_image *image;	/* NULL if it is not read yet, or cannot be */
	struct mb_module *next;
};

struct mb_mapping {
	uint64_t start, end, offset;
	struct mb_module *module;
};

/* What was in a process's memory when it was looked at. */
struct mb_mappings {
	struct mb_mapping *mapping;
	uint32_t count, room;
	int64_t pid;
	uint64_t read_ns;	/* when, by CLOCK_MONOTONIC; 0: never */
	uint64_t used;		/* for the one to be replaced */
};

#define MB_PROCESSES 64		/* of so many the mappings are kept */

/* What a hit brings of the stack of a process that goes on. */
struct mb_taken {
	const char *bytes;	/* NULL: the process stands still, and is read itself */
	uint64_t address, count;
	uint64_t absent;	/* as struct mb_user_stack has it */
	int beyond;		/* out: whether something else was asked for */
};

struct mb_process {
	struct mb_known *known;
	struct mb_module *modules;
	struct mb_module vdso;
	struct mb_mappings kept[MB_PROCESSES];
	struct mb_mapped *mapped;	/* NULL: nobody tells what processes map */
	struct mb_mappings *now;	/* those of the hit's process; NULL: none */
	struct mb_taken taken;
	int64_t pid;
	uint64_t hit;		/* of which hit `now` is; 0: of none */
	uint64_t hit_ns;	/* when that was, if the process went on; 0: it stands still */
	uint64_t uses;
};

/* Where an address is: `module` is NULL if no file is there. */
struct mb_place {
	struct mb_module *module;
	uint64_t start, end;	/* of the module in memory */
	uint64_t bias;
};

/* Know the file that is at a path now, by whatever path a process has it. */
int mb_process_know(struct mb_process *process, const char *path);
void mb_process_free(struct mb_process *process);

/*
 * Read the mappings of a process; those of the same hit are read once. If it goes on since `hit_ns` (0: it stands still), those of a
 * moment before do, and once it has ended the last ones that it had; then all files are known.
 */
int mb_process_read(struct mb_process *process, int64_t pid, uint64_t hit, uint64_t hit_ns);

/* From now on keep what processes map, so that those that have ended are known. */
void mb_process_watch(struct mb_process *process);

/* Take what was told since. */
void mb_process_take(struct mb_process *process);

/* Whether anything is known to be in its memory. */
int mb_process_is_there(const struct mb_process *process);

/* Whether the session was told to know a file, or all. */
int mb_process_knows(const struct mb_process *process, const struct mb_module *module);

void mb_process_place(struct mb_process *process, uint64_t address, struct mb_place *place);

/* How far from its link-time addresses the file at a path is loaded, by whatever path the process has it; -ENOENT: it is not. */
int mb_process_bias(struct mb_process *process, const char *path, uint64_t *bias);

/* Go to the caller: as mb_image_step; -ENXIO if no known file is at the pc. */
int mb_process_step(struct mb_process *process, struct mb_frame *frame);

/* Memory of the process, or what was taken of it, as mb_frame_memory has it. */
int mb_process_memory(void *process, uint64_t address, void *dest, size_t bytes);

#endif
