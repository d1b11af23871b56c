/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the two files of the real implementation share: xenio_real.c for everybody,
 * xenio_privileged.c, which adds to it what only dom0 can do.
 */
#ifndef XENIO_REAL_H
#define XENIO_REAL_H

#include <pthread.h>

#include "xenio.h"

struct xenio_store;
struct xengntdev_handle;

struct xenio_real {
	struct xenio x;
	struct xenio_store *store;
	pthread_mutex_t lock; /* opening of: */
	struct xengntdev_handle *shr, *tab; /* NULL: not used yet */
	int claim_fd;
};

extern const struct xenio_ops xenio_real_ops;
void xenio_real_close(struct xenio *x);
/* size: of the structure that begins with a struct xenio_real. */
int xenio_real_create(size_t size, struct xenio_real **r);

#endif /* XENIO_REAL_H */
