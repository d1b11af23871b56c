/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Signals an eventfd that the peer also holds; both ends use it, on any thread.
 */
#ifndef VFIO_USER_SIGNAL_H
#define VFIO_USER_SIGNAL_H

/* Have the calling thread ready, which the first signal does otherwise. 0, or the negative errno
 * that keeps kernel AIO from it: then a hostile peer may make vfio_user_signal() block. */
int vfio_user_signal_prepare(void);

/* Add 1 to event_fd. own_fd: any socket of ours, nothing happens to it. A full counter is no error:
 * the peer was told already. */
void vfio_user_signal(int event_fd, int own_fd);

#endif /* VFIO_USER_SIGNAL_H */
