/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Kicks by eventfds that a guest has too, see nfed_kick.h.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nfed_kick.h"

/* A new eventfd in the set. Descriptor or negative errno. */
static int
add_eventfd(int set_fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), rc;

	if (fd < 0)
		return -errno;
	if (epoll_ctl(set_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int
nfed_kick_create(struct nfed_kick *kick)
{
	int rc;

	kick->set_fd = epoll_create1(EPOLL_CLOEXEC);
	if (kick->set_fd < 0)
		return -errno;
	rc = add_eventfd(kick->set_fd);
	if (rc < 0) {
		close(kick->set_fd);
		kick->set_fd = -1;
		return rc;
	}
	kick->own_fd = rc;
	return 0;
}

void
nfed_kick_destroy(struct nfed_kick *kick)
{
	if (kick->set_fd < 0)
		return;
	nfed_kick_disconnect(kick);
	close(kick->own_fd);
	close(kick->set_fd);
	*kick = (struct nfed_kick)NFED_KICK_NONE;
}

int
nfed_kick_connect(struct nfed_kick *kick)
{
	int fd = add_eventfd(kick->set_fd);

	if (fd < 0)
		return fd;
	kick->peer_fd = fd;
	return 0;
}

/* Out of the set by hand: closing is not enough while the guest keeps the eventfd. */
void
nfed_kick_disconnect(struct nfed_kick *kick)
{
	if (kick->peer_fd < 0)
		return;
	epoll_ctl(kick->set_fd, EPOLL_CTL_DEL, kick->peer_fd, NULL);
	close(kick->peer_fd);
	kick->peer_fd = -1;
}

void
nfed_kick_self(const struct nfed_kick *kick)
{
	const uint64_t one = 1;

	/* Ours alone and never full: 2^64 kicks. */
	if (write(kick->own_fd, &one, sizeof(one)) < 0)
		return;
}
