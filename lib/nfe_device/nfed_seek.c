/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* See nfed_seek.h. The thread has a descriptor of its own: the guest's may be closed meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <vfio_user_close.h>

#include "nfed_seek.h"

struct nfed_seeker {
	pthread_mutex_t lock;
	pthread_cond_t done;
	nfed_seek_fn seek;
	bool running;  /* the thread has the rest, and frees it if it is */
	bool orphaned;
	int fd;
	off_t offset, found; /* found: or a negative errno */
};

struct nfed_seeker *
nfed_seeker_create(nfed_seek_fn seek)
{
	struct nfed_seeker *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->done, NULL);
	s->seek = seek;
	return s;
}

static void
seeker_free(struct nfed_seeker *s)
{
	pthread_cond_destroy(&s->done);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void
nfed_seeker_destroy(struct nfed_seeker *s)
{
	bool running;

	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	running = s->orphaned = s->running;
	pthread_mutex_unlock(&s->lock);
	if (!running)
		seeker_free(s);
}

static void *
seeker_run(void *arg)
{
	struct nfed_seeker *s = arg;
	off_t found = s->seek(s->fd, s->offset, SEEK_HOLE);
	bool orphaned;

	if (found < 0)
		found = -errno;
	close(s->fd);
	pthread_mutex_lock(&s->lock);
	s->found = found;
	s->running = false;
	orphaned = s->orphaned;
	pthread_cond_signal(&s->done);
	pthread_mutex_unlock(&s->lock);
	if (orphaned)
		seeker_free(s);
	return NULL;
}

/* With the lock. 0, or the negative errno of what was not to be had. */
static int
seeker_start(struct nfed_seeker *s, int fd, off_t offset)
{
	int rc;

	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	s->offset = offset;
	s->running = true;
	rc = vfio_user_start_detached(seeker_run, s);
	if (rc < 0) {
		s->running = false;
		close(s->fd);
	}
	return rc;
}

off_t
nfed_seeker_hole(struct nfed_seeker *s, int fd, off_t offset)
{
	struct timespec end;
	off_t found;
	int rc;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += NFED_SEEK_MS * 1000000L;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	pthread_mutex_lock(&s->lock);
	rc = s->running ? -EBUSY : seeker_start(s, fd, offset);
	while (rc == 0 && s->running)
		rc = -pthread_cond_clockwait(&s->done, &s->lock, CLOCK_MONOTONIC, &end);
	found = rc == 0 ? s->found : rc == -ETIMEDOUT ? -EBUSY : rc;
	pthread_mutex_unlock(&s->lock);
	return found;
}
