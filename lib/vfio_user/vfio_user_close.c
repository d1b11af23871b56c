/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* See vfio_user_close.h. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vfio_user_close.h"
#include "vfio_user_errand.h"
#include "vfio_user_wire.h"

#define CLOSER_ROOM 64u /* at first */
#define CLOSER_END_MS 100u

struct vfio_user_closer {
	struct vfio_user_errand errand;
	unsigned int may_wait;
	unsigned int n, room; /* of fd */
	unsigned int open;    /* n, and the one that the thread closes */
	int *fd;              /* freed when it is empty: an orphan has nobody else to do it */
};

static void
close_all(struct vfio_user_errand *errand)
{
	struct vfio_user_closer *c = (struct vfio_user_closer *)errand;

	while (c->n > 0) {
		int fd = c->fd[--c->n];

		pthread_mutex_unlock(&errand->lock);
		close(fd);
		pthread_mutex_lock(&errand->lock);
		c->open--;
	}
	free(c->fd);
	c->fd = NULL;
	c->room = 0;
}

struct vfio_user_closer *
vfio_user_closer_create(unsigned int may_wait)
{
	struct vfio_user_closer *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	vfio_user_errand_init(&c->errand, close_all);
	c->may_wait = may_wait;
	return c;
}

static bool
have_room(struct vfio_user_closer *c)
{
	unsigned int room = c->room > 0 ? 2 * c->room : CLOSER_ROOM;
	int *fd;

	if (c->n < c->room)
		return true;
	fd = realloc(c->fd, room * sizeof(*fd));
	if (fd == NULL)
		return false;
	c->fd = fd;
	c->room = room;
	return true;
}

static void
put(struct vfio_user_closer *c, int fd)
{
	struct vfio_user_errand *errand = &c->errand;
	bool room;

	pthread_mutex_lock(&errand->lock);
	room = have_room(c);
	if (room) {
		c->fd[c->n++] = fd;
		c->open++;
	}
	if (room && !errand->running && vfio_user_errand_start(errand) < 0)
		close_all(errand); /* no more threads: then it may wait */
	pthread_mutex_unlock(&errand->lock);
	if (!room)
		close(fd);
}

void
vfio_user_closer_put(struct vfio_user_closer *c, int fd)
{
	if (c == NULL || vfio_user_is_eventfd(fd))
		close(fd);
	else
		put(c, fd);
}

/* Even an empty one: a kernel before 6.10 closes with it what lies about in sockets that only hold each
 * other, of whomever. */
void
vfio_user_closer_put_socket(struct vfio_user_closer *c, int fd)
{
	shutdown(fd, SHUT_RDWR); /* its peer knows at once */
	if (c == NULL)
		close(fd);
	else
		put(c, fd);
}

bool
vfio_user_closer_busy(struct vfio_user_closer *c)
{
	bool busy;

	pthread_mutex_lock(&c->errand.lock);
	busy = c->open > c->may_wait;
	pthread_mutex_unlock(&c->errand.lock);
	return busy;
}

void
vfio_user_closer_destroy(struct vfio_user_closer *c)
{
	vfio_user_errand_leave(&c->errand, CLOSER_END_MS);
}
