// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The first process of a guest. Its root is the host's, read-only through virtiofs, with its own /proc, /sys, /dev, /run and /tmp; one
 * folder (`guest.share`) is writable. Runs `guest.python guest.server guest.run` there and resets the machine when that ends.
 * No overlay: a uprobe is of an inode, and the overlay's inode is not the one that runs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST "/host"
#define ROOT "/root"
#define PATH_BYTES 1024

static char command_line[4096];

static void complain(const char *what, const char *where)
{
	fprintf(stderr, "guest: %s %s: %s\n", what, where, strerror(errno));
}

static void __attribute__((noreturn)) stop(void)
{
	int file = open("/proc/sysrq-trigger", O_WRONLY);

	if (file >= 0 && write(file, "b", 1) == 1)
		sleep(1);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static const char *path(const char *format, ...)
{
	static char texts[4][PATH_BYTES];
	static unsigned int turn;
	char *text = texts[turn++ % 4];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, PATH_BYTES, format, arguments);
	va_end(arguments);
	return text;
}

static int put_on(const char *source, const char *target, const char *type, unsigned long flags,
		  const char *data)
{
	int ret = mount(source, target, type, flags, data);

	if (ret)
		complain("mount", target);
	return ret;
}

/* A folder of the host, seen in the guest under the same name. */
static void show(const char *folder, int read_only)
{
	const char *target = path(ROOT "%s", folder);

	if (put_on(path(HOST "%s", folder), target, NULL, MS_BIND, NULL) || !read_only)
		return;
	put_on(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

/* The value of a word `name=value` of the kernel's command line; "" if there is none. */
static char *option(const char *name, char *value, size_t bytes)
{
	const char *at = strstr(command_line, name);

	value[0] = '\0';
	if (at) {
		at += strlen(name);
		snprintf(value, bytes, "%.*s", (int)strcspn(at, " \n"), at);
	}
	return value;
}

static void load_modules(void)
{
	static const char *const modules[] = { MODULES NULL };

	for (size_t i = 0; modules[i]; i++) {
		int file = open(modules[i], O_RDONLY);

		if (file < 0 || syscall(SYS_finit_module, file, "", 0))
			complain("load", modules[i]);
		close(file);
	}
}

static void read_command_line(void)
{
	int file = open("/proc/cmdline", O_RDONLY);
	ssize_t length = read(file, command_line, sizeof(command_line) - 1);

	command_line[length > 0 ? length : 0] = '\0';
	close(file);
}

static void mount_systems(void)
{
	static const struct {
		const char *type, *target, *data;
	} systems[] = {
		{ "proc", "/proc", NULL },
		{ "sysfs", "/sys", NULL },
		{ "devtmpfs", "/dev", NULL },
		{ "devpts", "/dev/pts", NULL },
		{ "tmpfs", "/dev/shm", NULL },
		{ "debugfs", "/sys/kernel/debug", NULL },
		{ "tracefs", "/sys/kernel/tracing", NULL },
		{ "bpf", "/sys/fs/bpf", NULL },
		{ "cgroup2", "/sys/fs/cgroup", NULL },
		{ "tmpfs", "/run", NULL },
		{ "tmpfs", "/var/tmp", "mode=1777" },
		{ "tmpfs", "/tmp", "mode=1777" },
	};

	for (size_t i = 0; i < sizeof(systems) / sizeof(systems[0]); i++) {
		const char *target = path(ROOT "%s", systems[i].target);

		mkdir(target, 0755);
		put_on(systems[i].type, target, systems[i].type, 0, systems[i].data);
	}
}

/*
 * /tmp is our own, so that tests can write there; the host's folders in it are seen, too, for a checkout may be in one. Those of
 * pytest would stand in the way of its own.
 */
static void bind_temporary(void)
{
	DIR *folder = opendir(HOST "/tmp");
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || !strncmp(entry->d_name, "pytest", 6))
			continue;
		mkdir(path(ROOT "/tmp/%s", entry->d_name), 0755);
		show(path("/tmp/%s", entry->d_name), 1);
	}
	if (folder)
		closedir(folder);
}

static void link_descriptors(void)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], path(ROOT "%s", links[i][1])))
			complain("link", links[i][1]);
}

static void raise_loopback(void)
{
	int file = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	strcpy(request.ifr_name, "lo");
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(file, SIOCSIFFLAGS, &request))
		complain("raise", "lo");
	close(file);
}

static void __attribute__((noreturn)) serve(void)
{
	char python[PATH_BYTES], server[PATH_BYTES], run[PATH_BYTES];
	int log;

	option("guest.python=", python, sizeof(python));
	option("guest.server=", server, sizeof(server));
	option("guest.run=", run, sizeof(run));
	setsid();
	if (chroot(ROOT) || chdir(run))
		_exit(126);
	log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(log, 1);
	dup2(log, 2);
	close_range(3, ~0u, 0);
	execl(python, python, "-P", server, run, (char *)NULL);
	complain("run", python);
	_exit(127);
}

int main(void)
{
	char share[PATH_BYTES];
	pid_t server, ended;
	int console;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	console = open("/dev/console", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(console, i);
	read_command_line();
	load_modules();
	if (put_on("host", HOST, "virtiofs", 0, NULL))
		stop();
	show("/", 1);
	mount_systems();
	bind_temporary();
	show(option("guest.share=", share, sizeof(share)), 0);
	link_descriptors();
	raise_loopback();
	if (sethostname("guest", 5))
		complain("name", "guest");
	server = fork();
	if (!server)
		serve();
	do {
		ended = wait(NULL);
	} while (ended != server && (ended > 0 || errno == EINTR));
	stop();
}
