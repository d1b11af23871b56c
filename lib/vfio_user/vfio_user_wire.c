/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Messages over an AF_UNIX stream, see vfio_user_wire.h. Descriptors that arrive are owned by the
 * struct vfio_user_rx until somebody takes them; vfio_user_rx_reset() closes the rest (rule 13).
 *
 * With a closer no descriptor may be released on this thread. So a message is looked at first: one
 * with more than there is room for stays in the socket, which the closer closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vfio_user_wire.h"

#define EVENTFD_LINK "anon_inode:[eventfd]"

union fd_control { /* ancillary data of one message, aligned for cmsghdr */
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * VFIO_USER_MAX_FDS)];
};

uint64_t
vfio_user_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int
vfio_user_wait(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	uint64_t now;
	int rc;

	for (;;) {
		now = vfio_user_now_ms();
		rc = poll(&pfd, 1, now < deadline_ms ? (int)(deadline_ms - now) : 0);
		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return -errno;
		if (rc == 0 && now >= deadline_ms)
			return -ETIMEDOUT;
	}
}

bool
vfio_user_is_eventfd(int fd)
{
	char path[32], link[sizeof(EVENTFD_LINK) + 1];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link));
	return n == (ssize_t)strlen(EVENTFD_LINK) && memcmp(link, EVENTFD_LINK, (size_t)n) == 0;
}

int
vfio_user_check_eventfd(int fd)
{
	int flags;

	/* A pipe or a FUSE file could block whoever writes to it for ever (rule 14). */
	if (!vfio_user_is_eventfd(fd))
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -EINVAL;
	return 0;
}

/* By means that ask no file system: it may be one that waits for ever (rule 14). */
int
vfio_user_check_memory(int fd)
{
	return fcntl(fd, F_GET_SEALS) < 0 ? -EPERM : 0;
}

static void
rx_begin(struct vfio_user_rx *rx)
{
	rx->have = 0;
	rx->bad_fds = false;
	rx->fds.n = 0;
	rx->body = NULL;
}

void
vfio_user_rx_init(struct vfio_user_rx *rx, uint32_t max_size, unsigned int max_fds,
		  struct vfio_user_closer *closer)
{
	rx->max_size = max_size;
	rx->max_fds = max_fds;
	rx->closer = closer;
	rx_begin(rx);
}

void
vfio_user_rx_reset(struct vfio_user_rx *rx)
{
	for (unsigned int i = 0; i < rx->fds.n; i++)
		if (rx->fds.fd[i] >= 0)
			vfio_user_closer_put(rx->closer, rx->fds.fd[i]);
	if (rx->body != rx->inline_body)
		free(rx->body);
	rx_begin(rx);
}

/* The descriptors of one recvmsg(); how many. */
static unsigned int
fds_of(struct msghdr *msg, int fds[VFIO_USER_MAX_FDS])
{
	unsigned int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	}
	return n;
}

/* Keep them, or close them if they may not come now. */
static void
take_fds(struct vfio_user_rx *rx, struct msghdr *msg)
{
	int fds[VFIO_USER_MAX_FDS];
	unsigned int n = fds_of(msg, fds);

	if ((msg->msg_flags & MSG_CTRUNC) != 0)
		rx->bad_fds = true; /* more than there was room for: the kernel closed the surplus */
	for (unsigned int i = 0; i < n; i++) {
		if (rx->have == 0 && rx->fds.n < rx->max_fds) {
			rx->fds.fd[rx->fds.n++] = fds[i];
		} else {
			rx->bad_fds = true;
			vfio_user_closer_put(rx->closer, fds[i]);
		}
	}
}

static ssize_t
receive(int sock, struct msghdr *msg, int flags)
{
	ssize_t n;

	do {
		n = recvmsg(sock, msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Bytes that can be received without more than max_fds descriptors, as recvmsg() says it. What comes
 * by a look is in the socket as well, so closing it is not the last time, and memory is not freed; but
 * some file systems let each close() wait (FUSE flushes). */
static ssize_t
look(int sock, const struct vfio_user_rx *rx, struct iovec *iov)
{
	union fd_control control;
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = CMSG_SPACE(sizeof(int) * rx->max_fds) };
	int fds[VFIO_USER_MAX_FDS];
	unsigned int nb_fds;
	ssize_t n;

	if (rx->max_fds == 0)
		msg.msg_controllen = 0;
	n = receive(sock, &msg, MSG_PEEK);
	if (n < 0)
		return n;
	nb_fds = fds_of(&msg, fds);
	for (unsigned int i = 0; i < nb_fds; i++) {
		if (vfio_user_check_memory(fds[i]) == 0)
			close(fds[i]);
		else
			vfio_user_closer_put(rx->closer, fds[i]);
	}
	if ((msg.msg_flags & MSG_CTRUNC) == 0)
		return n;
	errno = ETOOMANYREFS;
	return -1;
}

/* Up to len bytes to dst. Bytes taken, 0 when none are there, or a negative errno. */
static int
recv_some(int sock, struct vfio_user_rx *rx, void *dst, size_t len)
{
	struct iovec iov = { .iov_base = dst, .iov_len = len };
	union fd_control control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = (ssize_t)len;

	if (rx->closer != NULL) { /* no more than was looked at: more may have come meanwhile */
		n = look(sock, rx, &iov);
		if (n > 0)
			iov.iov_len = (size_t)n;
	}
	if (n > 0)
		n = receive(sock, &msg, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	if (n > 0)
		take_fds(rx, &msg); /* an end brings none */
	if (n == 0)
		return rx->have == 0 ? -ENOTCONN : -ECONNRESET;
	rx->have += (uint32_t)n;
	return (int)n;
}

static int
begin_body(struct vfio_user_rx *rx)
{
	if (rx->hdr.size < sizeof(rx->hdr) || rx->hdr.size > rx->max_size)
		return -EMSGSIZE;
	if (vfio_user_rx_body_len(rx) <= sizeof(rx->inline_body))
		rx->body = rx->inline_body;
	else
		rx->body = malloc(vfio_user_rx_body_len(rx));
	return rx->body == NULL ? -ENOMEM : 0;
}

int
vfio_user_rx_step(int sock, struct vfio_user_rx *rx)
{
	const uint32_t hdr_size = sizeof(rx->hdr);
	int rc;

	if (rx->have < hdr_size) {
		rc = recv_some(sock, rx, (uint8_t *)&rx->hdr + rx->have, hdr_size - rx->have);
		if (rc <= 0 || rx->have < hdr_size)
			return rc < 0 ? rc : 0;
		rc = begin_body(rx);
		if (rc < 0)
			return rc;
	}
	if (rx->have < rx->hdr.size) {
		rc = recv_some(sock, rx, rx->body + (rx->have - hdr_size),
			       rx->hdr.size - rx->have);
		if (rc < 0)
			return rc;
	}
	return rx->have == rx->hdr.size;
}

static void
attach_fds(struct msghdr *msg, union fd_control *control, const int *fds, unsigned int nb_fds)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(sizeof(int) * nb_fds);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * nb_fds);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * nb_fds);
}

/* Step msg over the n bytes that were sent; true while some are left. */
static bool
advance(struct msghdr *msg, size_t n)
{
	while (msg->msg_iovlen > 0 && n >= msg->msg_iov->iov_len) {
		n -= msg->msg_iov->iov_len;
		msg->msg_iov++;
		msg->msg_iovlen--;
	}
	if (msg->msg_iovlen == 0)
		return false;
	msg->msg_iov->iov_base = (uint8_t *)msg->msg_iov->iov_base + n;
	msg->msg_iov->iov_len -= n;
	return true;
}

int
vfio_user_send(int sock, struct iovec *iov, unsigned int iovcnt, const int *fds,
	       unsigned int nb_fds, uint64_t deadline_ms)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = iovcnt };
	union fd_control control;
	ssize_t n;
	int rc;

	if (nb_fds > VFIO_USER_MAX_FDS)
		return -E2BIG;
	if (nb_fds > 0)
		attach_fds(&msg, &control, fds, nb_fds);
	for (;;) {
		n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			msg.msg_control = NULL;
			msg.msg_controllen = 0;
			if (!advance(&msg, (size_t)n))
				return 0;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			rc = vfio_user_wait(sock, POLLOUT, deadline_ms);
			if (rc < 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

ssize_t
vfio_user_send_some(int sock, const struct iovec *iov, unsigned int iovcnt, const int *fds,
		    unsigned int nb_fds)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = iovcnt };
	union fd_control control;
	ssize_t n;

	if (nb_fds > VFIO_USER_MAX_FDS)
		return -E2BIG;
	if (nb_fds > 0)
		attach_fds(&msg, &control, fds, nb_fds);
	do {
		n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	return n;
}
