/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * An errand: calls that may wait for as long as a peer likes, because the file is the peer's. A thread
 * does them, which there is only meanwhile. Who asked waits a little at most; if he goes and the thread
 * is stuck, what they share stays with the thread, which frees it (rule 14).
 */
#ifndef VFIO_USER_ERRAND_H
#define VFIO_USER_ERRAND_H

#include <pthread.h>
#include <stdbool.h>

struct vfio_user_errand { /* the first member of what the thread needs */
	pthread_mutex_t lock;
	pthread_cond_t over;
	/* Called and left with the lock, which it gives up while it waits. */
	void (*run)(struct vfio_user_errand *errand);
	bool running, orphaned;
};

/* Of memory from malloc() that begins with it; the thread, or the owner by leaving, frees it. */
void vfio_user_errand_init(struct vfio_user_errand *errand,
			   void (*run)(struct vfio_user_errand *errand));
/* With the lock, while none is running. 0, or a negative errno: no more threads. */
int vfio_user_errand_start(struct vfio_user_errand *errand);
/* With the lock: until it is over. -ETIMEDOUT: it is not after so many milliseconds. */
int vfio_user_errand_wait(struct vfio_user_errand *errand, unsigned int ms);
/* The end of the errand for its owner, after a wait of so many milliseconds at most. */
void vfio_user_errand_leave(struct vfio_user_errand *errand, unsigned int ms);

#endif /* VFIO_USER_ERRAND_H */
