/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Event loop of the control thread over epoll. One thread per loop; the loop owns its table of
 * callbacks, the descriptors belong to those who add them.
 *
 * A callback may remove a descriptor whose event waits in the same batch, and its number may be
 * used again at once: each registration has a serial number, and an event of an older one is dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "nfed_loop.h"

#define LOOP_BATCH 64

struct watch {
	nfed_loop_fn fn; /* NULL: not watched */
	void *arg;
	uint32_t serial;
};

struct nfed_loop {
	int epoll_fd;
	uint32_t next_serial;
	struct watch *watches; /* by descriptor */
	unsigned int nb_watches;
};

struct nfed_loop *
nfed_loop_create(void)
{
	struct nfed_loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return NULL;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void
nfed_loop_destroy(struct nfed_loop *loop)
{
	if (loop == NULL)
		return;
	close(loop->epoll_fd);
	free(loop->watches);
	free(loop);
}

static int
grow(struct nfed_loop *loop, unsigned int need)
{
	unsigned int nb = loop->nb_watches == 0 ? 64 : loop->nb_watches;
	struct watch *watches;

	if (need <= loop->nb_watches)
		return 0;
	while (nb < need)
		nb *= 2;
	watches = realloc(loop->watches, nb * sizeof(*watches));
	if (watches == NULL)
		return -ENOMEM;
	for (unsigned int i = loop->nb_watches; i < nb; i++)
		watches[i] = (struct watch){ .fn = NULL };
	loop->watches = watches;
	loop->nb_watches = nb;
	return 0;
}

int
nfed_loop_add(struct nfed_loop *loop, int fd, uint32_t events, nfed_loop_fn fn, void *arg)
{
	struct epoll_event ev = { .events = events };
	uint32_t serial = loop->next_serial++;
	int rc;

	if (fd < 0 || fn == NULL)
		return -EINVAL;
	rc = grow(loop, (unsigned int)fd + 1);
	if (rc < 0)
		return rc;
	ev.data.u64 = (uint64_t)serial << 32 | (uint32_t)fd;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	loop->watches[fd] = (struct watch){ .fn = fn, .arg = arg, .serial = serial };
	return 0;
}

void
nfed_loop_del(struct nfed_loop *loop, int fd)
{
	if (fd < 0 || (unsigned int)fd >= loop->nb_watches || loop->watches[fd].fn == NULL)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* fails if closed: gone as well */
	loop->watches[fd].fn = NULL;
}

static int
dispatch(struct nfed_loop *loop, const struct epoll_event *ev)
{
	uint32_t fd = (uint32_t)ev->data.u64, serial = (uint32_t)(ev->data.u64 >> 32);
	struct watch w = loop->watches[fd]; /* the table may move during the call */

	if (w.fn == NULL || w.serial != serial)
		return 0;
	w.fn(w.arg, ev->events);
	return 1;
}

int
nfed_loop_run(struct nfed_loop *loop, int timeout_ms)
{
	struct epoll_event ev[LOOP_BATCH];
	int n = epoll_wait(loop->epoll_fd, ev, LOOP_BATCH, timeout_ms);
	int run = 0;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		run += dispatch(loop, &ev[i]);
	return run;
}
