/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Closing what a peer has sent or holds the other end of. close() may be the last one of a file of the
 * peer's choice, and wait as long as the peer likes: a TCP socket that lingers, a FUSE file whose
 * daemon doesn't answer, such files on their way in the queue of a socket. And the last one of memory
 * frees all its pages, 0.3 s per GiB. So all but eventfds is left to a thread (vfio_user_errand.h).
 */
#ifndef VFIO_USER_CLOSE_H
#define VFIO_USER_CLOSE_H

#include <stdbool.h>

struct vfio_user_closer;

/* may_wait: so many not closed yet don't make it busy. NULL: no memory */
struct vfio_user_closer *vfio_user_closer_create(unsigned int may_wait);
/* Waits a little for what is being closed; a thread that is stuck is left behind. */
void vfio_user_closer_destroy(struct vfio_user_closer *closer);
/* Both return at once. NULL: closes here. socket: an AF_UNIX one, connected or listening. */
void vfio_user_closer_put(struct vfio_user_closer *closer, int fd);
void vfio_user_closer_put_socket(struct vfio_user_closer *closer, int fd);
/* Is too much not closed yet? The owner puts no more until it is: a peer keeps one thread busy, and few
 * descriptors open. */
bool vfio_user_closer_busy(struct vfio_user_closer *closer);

#endif /* VFIO_USER_CLOSE_H */
