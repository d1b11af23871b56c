/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the daemon takes from the system before it starts: the socket directory, exclusively, the file
 * in it with the counters of the data lcores, enough file descriptors, and each VIF's share of
 * descriptors and memory maps.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vifsw.h"

#define DIR_MODE 0755
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

/* Memory behind fd, and a link to it. Not a file of the directory: on a disk its pages are written
 * back, and a data lcore would wait for that. Its size is sealed, so nobody can cut it off. */
static int
make_counters(const char *path, size_t len, int fd, void **p)
{
	char target[32];

	if (ftruncate(fd, (off_t)len) != 0 || fchmod(fd, 0644) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		return -errno;
	snprintf(target, sizeof(target), "/proc/%ld/fd/%d", (long)getpid(), fd);
	if ((unlink(path) != 0 && errno != ENOENT) || symlink(target, path) != 0)
		return -errno;
	*p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (*p != MAP_FAILED)
		return 0;
	unlink(path);
	return -ENOMEM;
}

static void
counters_path(char *path, size_t size, const char *dir)
{
	snprintf(path, size, "%s/" VIFSW_COUNTERS, dir);
}

int
vifsw_counters_open(const char *dir, unsigned int nb_lcores, struct vsw_lcore_counters **counters)
{
	char path[VIFSW_PATH_MAX + sizeof(VIFSW_COUNTERS) + 1];
	int fd = memfd_create("vif-switch-" VIFSW_COUNTERS, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p = NULL;
	int rc;

	counters_path(path, sizeof(path), dir);
	rc = fd < 0 ? -errno : make_counters(path, nb_lcores * sizeof(**counters), fd, &p);
	if (rc != 0) {
		vifsw_log_error("%s: cannot be made: %s", path, strerror(-rc));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*counters = p;
	return fd;
}

void
vifsw_counters_close(const char *dir, unsigned int nb_lcores, struct vsw_lcore_counters *counters,
		     int fd)
{
	char path[VIFSW_PATH_MAX + sizeof(VIFSW_COUNTERS) + 1];

	counters_path(path, sizeof(path), dir);
	unlink(path);
	munmap(counters, nb_lcores * sizeof(*counters));
	close(fd);
}

static uint64_t
all_queues(const struct vifsw_config *config)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < config->nb_vifs; i++)
		sum += config->vifs[i].max_queues != 0 ? config->vifs[i].max_queues :
			nfed_limits_default.max_channels;
	return sum;
}

int
vifsw_raise_nofile(const struct vifsw_config *config)
{
	rlim_t need = nfed_share_fds_needed(config->nb_vifs, all_queues(config));
	struct rlimit limit, wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -errno;
	if (limit.rlim_max < need) {
		/* Root may raise the hard limit too. */
		wanted = (struct rlimit){ .rlim_cur = need, .rlim_max = need };
		if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
			return 0;
		vifsw_log_error("%u VIFs need %llu file descriptors, the hard limit is %llu"
				" (ulimit -Hn, LimitNOFILE=)", config->nb_vifs,
				(unsigned long long)need, (unsigned long long)limit.rlim_max);
		return -EMFILE;
	}
	wanted = limit;
	wanted.rlim_cur = limit.rlim_max < MAX_FDS ? limit.rlim_max : MAX_FDS;
	if (wanted.rlim_cur < limit.rlim_cur)
		return 0;
	return setrlimit(RLIMIT_NOFILE, &wanted) == 0 ? 0 : -errno;
}

/* The number in a file of /proc; 0: none there. */
static uint64_t
proc_number(const char *path)
{
	unsigned long long value = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

static uint64_t
maps_in_use(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uint64_t lines = 0;
	int c;

	if (f == NULL)
		return 0;
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

int
vifsw_share(const struct vifsw_config *config, struct nfed_share *share)
{
	struct nfed_share_budget b = { .nb_vifs = config->nb_vifs, .nb_queues = all_queues(config) };
	struct rlimit limit;
	int rc;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -errno;
	b.max_fds = limit.rlim_cur;
	b.max_maps = proc_number("/proc/sys/vm/max_map_count");
	b.maps_in_use = maps_in_use();
	rc = nfed_share_divide(&b, share);
	if (rc == -EMFILE)
		vifsw_log_error("%u VIFs need %llu file descriptors, the limit is %llu", b.nb_vifs,
				(unsigned long long)nfed_share_fds_needed(b.nb_vifs, b.nb_queues),
				(unsigned long long)b.max_fds);
	else if (rc == -ENOMEM)
		vifsw_log_error("%u VIFs need %llu memory maps, the limit is %llu"
				" (sysctl vm.max_map_count)", b.nb_vifs,
				(unsigned long long)nfed_share_maps_needed(&b),
				(unsigned long long)b.max_maps);
	return rc;
}
