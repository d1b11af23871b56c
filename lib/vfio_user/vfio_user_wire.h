/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Moves whole vfio-user messages and their descriptors over a non-blocking AF_UNIX stream. Used by
 * both ends; knows headers and sizes, not commands. Internal to lib/vfio_user.
 */
#ifndef VFIO_USER_WIRE_H
#define VFIO_USER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vfio_user_close.h"
#include "vfio_user_proto.h"

/* Bodies up to this need no allocation: a page of configuration space and its REGION_WRITE. */
#define VFIO_USER_INLINE_BODY (sizeof(struct vfio_user_region_rw) + 4096u)

struct vfio_user_fds {
	unsigned int n;
	int fd[VFIO_USER_MAX_FDS]; /* -1 once somebody took it */
};

struct vfio_user_rx { /* one message while it arrives */
	struct vfio_user_hdr hdr;
	uint32_t have;     /* bytes received, header included */
	uint32_t max_size; /* bytes, header included; set by the owner */
	unsigned int max_fds; /* in one message; set by the owner */
	bool bad_fds;      /* descriptors after the first bytes, or more than fit */
	struct vfio_user_fds fds;
	struct vfio_user_closer *closer; /* of what the peer sent; NULL: closed at once */
	uint8_t *body; /* hdr.size - 16 bytes: inline_body or allocated */
	uint8_t inline_body[VFIO_USER_INLINE_BODY] __attribute__((aligned(8)));
};

void vfio_user_rx_init(struct vfio_user_rx *rx, uint32_t max_size, unsigned int max_fds,
		       struct vfio_user_closer *closer);
/* Closes what nobody took, frees the body, ready for the next message. */
void vfio_user_rx_reset(struct vfio_user_rx *rx);

/*
 * Take what has arrived of the current message; never blocks, never reads into the next one.
 * 1: complete. 0: more to come. -ENOTCONN: orderly end between messages. -ECONNRESET: end inside
 * one. -EMSGSIZE: hdr.size is below 16 or above max_size, the stream is lost. -ETOOMANYREFS: more
 * than max_fds descriptors (with a closer only; else the kernel closes the surplus, and bad_fds says
 * so). -ENOMEM or another errno of recvmsg().
 */
int vfio_user_rx_step(int sock, struct vfio_user_rx *rx);

static inline uint32_t
vfio_user_rx_body_len(const struct vfio_user_rx *rx)
{
	return rx->hdr.size - (uint32_t)sizeof(rx->hdr);
}

/* Send all of iov, the descriptors with the first byte. -ETIMEDOUT when the peer does not read. */
int vfio_user_send(int sock, struct iovec *iov, unsigned int iovcnt, const int *fds,
		   unsigned int nb_fds, uint64_t deadline_ms);

/* Send what the socket takes at once, the descriptors with the first byte. Bytes, 0 when it takes
 * none now, or a negative errno. iov is left as it is. */
ssize_t vfio_user_send_some(int sock, const struct iovec *iov, unsigned int iovcnt, const int *fds,
			    unsigned int nb_fds);

/* Wait for events on fd. 0, -ETIMEDOUT or another negative errno. */
int vfio_user_wait(int fd, short events, uint64_t deadline_ms);
uint64_t vfio_user_now_ms(void); /* monotonic */
bool vfio_user_is_eventfd(int fd);
int vfio_user_check_eventfd(int fd); /* 0, or -EINVAL; makes it non-blocking */
int vfio_user_check_memory(int fd); /* 0, or -EPERM: no file of tmpfs (a memfd) or hugetlbfs */

#endif /* VFIO_USER_WIRE_H */
