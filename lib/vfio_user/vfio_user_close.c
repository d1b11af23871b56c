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

#define CLOSER_MAX 64u /* far more than a server puts before it looks whether it may */
#define CLOSER_END_MS 100u

struct vfio_user_closer {
	struct vfio_user_errand errand;
	unsigned int n;
	int fd[CLOSER_MAX];
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
	}
}

struct vfio_user_closer *
vfio_user_closer_create(void)
{
	struct vfio_user_closer *c = calloc(1, sizeof(*c));

	if (c != NULL)
		vfio_user_errand_init(&c->errand, close_all);
	return c;
}

static void
put(struct vfio_user_closer *c, int fd)
{
	struct vfio_user_errand *errand = &c->errand;
	bool room;

	pthread_mutex_lock(&errand->lock);
	room = c->n < CLOSER_MAX;
	if (room)
		c->fd[c->n++] = fd;
	if (room && !errand->running && vfio_user_errand_start(errand) < 0)
		close_all(errand); /* no more threads: then it may wait */
	pthread_mutex_unlock(&errand->lock);
	if (!room)
		close(fd);
}

void
vfio_user_closer_put(struct vfio_user_closer *c, int fd)
{
	if (c == NULL || vfio_user_is_eventfd(fd) || vfio_user_check_memory(fd) == 0)
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
	return vfio_user_errand_is_running(&c->errand);
}

void
vfio_user_closer_destroy(struct vfio_user_closer *c)
{
	vfio_user_errand_leave(&c->errand, CLOSER_END_MS);
}
