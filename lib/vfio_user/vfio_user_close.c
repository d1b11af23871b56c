/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * See vfio_user_close.h. The thread owns the closer while it runs: if the owner has gone by its end, it
 * frees it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vfio_user_close.h"
#include "vfio_user_wire.h"

#define CLOSER_MAX 64u /* far more than a server puts before it looks whether it may */
#define CLOSER_END_MS 100u

struct vfio_user_closer {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	bool busy;     /* the thread runs, or is about to */
	bool orphaned;
	unsigned int n;
	int fd[CLOSER_MAX];
};

static void
closer_free(struct vfio_user_closer *c)
{
	pthread_cond_destroy(&c->idle);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct vfio_user_closer *
vfio_user_closer_create(void)
{
	struct vfio_user_closer *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->idle, NULL);
	return c;
}

static void *
closer_run(void *arg)
{
	struct vfio_user_closer *c = arg;
	bool orphaned;

	pthread_mutex_lock(&c->lock);
	while (c->n > 0) {
		int fd = c->fd[--c->n];

		pthread_mutex_unlock(&c->lock);
		close(fd);
		pthread_mutex_lock(&c->lock);
	}
	c->busy = false;
	orphaned = c->orphaned;
	pthread_cond_signal(&c->idle);
	pthread_mutex_unlock(&c->lock);
	if (orphaned)
		closer_free(c);
	return NULL;
}

/* No signal of the process is the thread's business. */
int
vfio_user_start_detached(void *(*run)(void *), void *arg)
{
	sigset_t all, old;
	pthread_t thread;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_detach(thread);
	return -rc;
}

static void
put(struct vfio_user_closer *c, int fd)
{
	bool start = false, room;

	pthread_mutex_lock(&c->lock);
	room = c->n < CLOSER_MAX;
	if (room) {
		c->fd[c->n++] = fd;
		start = !c->busy;
		c->busy = true;
	}
	pthread_mutex_unlock(&c->lock);
	if (!room)
		close(fd);
	else if (start && vfio_user_start_detached(closer_run, c) < 0)
		closer_run(c); /* no more threads: then it may wait */
}

void
vfio_user_closer_put(struct vfio_user_closer *c, int fd)
{
	if (c == NULL || vfio_user_is_eventfd(fd) || vfio_user_check_memory(fd) == 0)
		close(fd);
	else
		put(c, fd);
}

void
vfio_user_closer_put_socket(struct vfio_user_closer *c, int fd)
{
	ssize_t left = -1;
	char byte;

	/* From here on nothing more comes; with nothing in it, it is harmless. The first look may tell
	 * that the peer left something unread. */
	if (c != NULL && shutdown(fd, SHUT_RDWR) == 0)
		for (unsigned int i = 0; i < 2 && left < 0; i++)
			left = recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
	if (c == NULL || left == 0)
		close(fd);
	else
		put(c, fd);
}

bool
vfio_user_closer_busy(struct vfio_user_closer *c)
{
	bool busy;

	pthread_mutex_lock(&c->lock);
	busy = c->busy;
	pthread_mutex_unlock(&c->lock);
	return busy;
}

void
vfio_user_closer_destroy(struct vfio_user_closer *c)
{
	struct timespec end;
	bool busy;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += CLOSER_END_MS * 1000000L;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	pthread_mutex_lock(&c->lock);
	while (c->busy && rc == 0)
		rc = pthread_cond_clockwait(&c->idle, &c->lock, CLOCK_MONOTONIC, &end);
	busy = c->orphaned = c->busy;
	pthread_mutex_unlock(&c->lock);
	if (!busy)
		closer_free(c);
}
