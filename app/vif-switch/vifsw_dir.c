/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the daemon takes from the system before it starts: the socket directory, exclusively, and
 * enough file descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vifsw.h"

#define DIR_MODE 0755
#define FDS_PER_VIF 8  /* socket, connection, doorbells, kicks, interrupt, its memory */
#define FDS_BESIDES 128 /* EAL, uplinks, telemetry, loops */
#define MAX_FDS (1u << 20)

/* Who has it; 0: it didn't say. */
static long
lock_owner(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtol(text, NULL, 10);
}

static void
write_owner(int fd)
{
	/* For the other's error message only: not worth failing for. */
	if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
		vifsw_log("lock file not written: %s", strerror(errno));
}

int
vifsw_dir_lock(const char *dir, int *lock_fd)
{
	char path[VIFSW_PATH_MAX + 8];
	int fd, rc;

	if (mkdir(dir, DIR_MODE) != 0 && errno != EEXIST) {
		rc = -errno;
		vifsw_log_error("socket directory %s: cannot be made: %s", dir, strerror(-rc));
		return rc;
	}
	snprintf(path, sizeof(path), "%s/.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		rc = -errno;
		vifsw_log_error("%s: cannot be opened: %s", path, strerror(-rc));
		return rc;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		rc = -errno;
		if (rc == -EWOULDBLOCK)
			vifsw_log_error("another vif-switch owns %s (pid %ld)", dir, lock_owner(fd));
		else
			vifsw_log_error("%s: cannot be locked: %s", path, strerror(-rc));
		close(fd);
		return rc;
	}
	write_owner(fd);
	*lock_fd = fd;
	return 0;
}

int
vifsw_raise_nofile(unsigned int nb_vifs)
{
	rlim_t need = (rlim_t)nb_vifs * FDS_PER_VIF + FDS_BESIDES;
	struct rlimit limit, wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -errno;
	if (limit.rlim_max < need) {
		/* Root may raise the hard limit too. */
		wanted = (struct rlimit){ .rlim_cur = need, .rlim_max = need };
		if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
			return 0;
		vifsw_log_error("%u VIFs need %llu file descriptors, the hard limit is %llu"
				" (ulimit -Hn, LimitNOFILE=)", nb_vifs, (unsigned long long)need,
				(unsigned long long)limit.rlim_max);
		return -EMFILE;
	}
	wanted = limit;
	wanted.rlim_cur = limit.rlim_max < MAX_FDS ? limit.rlim_max : MAX_FDS;
	if (wanted.rlim_cur < limit.rlim_cur)
		return 0;
	return setrlimit(RLIMIT_NOFILE, &wanted) == 0 ? 0 : -errno;
}
