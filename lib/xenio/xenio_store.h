/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Requests to xenstored with a deadline, which libxenstore has not. A thread per handle makes them,
 * one at a time; who asked leaves after xenio_store_deadline_ms with -EIO, and so does everybody at
 * once until xenstored has answered what was left. So a xenstored that hangs costs the switch's
 * control thread one deadline and not its life. Whether a request that was left took place is not
 * known.
 *
 * Any thread. Arguments and errors as in xenio.h.
 */
#ifndef XENIO_STORE_H
#define XENIO_STORE_H

#include "xenio.h"

struct xenio_store;
struct xs_handle;

extern unsigned int xenio_store_deadline_ms; /* 10000; for tests */

int xenio_store_open(struct xenio_store **store); /* -ENODEV */
void xenio_store_close(struct xenio_store *store);
struct xs_handle *xenio_store_xs(struct xenio_store *store); /* for what asks nothing: watches */

int xenio_store_read(struct xenio_store *store, xenio_tx tx, const char *path, char *value,
		     size_t size);
int xenio_store_write(struct xenio_store *store, xenio_tx tx, const char *path, const char *value);
int xenio_store_mkdir(struct xenio_store *store, xenio_tx tx, const char *path);
int xenio_store_rm(struct xenio_store *store, xenio_tx tx, const char *path);
int xenio_store_list(struct xenio_store *store, xenio_tx tx, const char *path, char ***names,
		     unsigned int *nb_names);
int xenio_store_set_perms(struct xenio_store *store, xenio_tx tx, const char *path,
			  const struct xenio_perm *perms, unsigned int nb_perms);
int xenio_store_tx_start(struct xenio_store *store, xenio_tx *tx);
int xenio_store_tx_end(struct xenio_store *store, xenio_tx tx, bool abort);
int xenio_store_watch(struct xenio_store *store, const char *path, const char *token);
int xenio_store_unwatch(struct xenio_store *store, const char *path, const char *token);
int xenio_store_domain_exists(struct xenio_store *store, uint16_t domid); /* 0, -ENOENT */

#endif /* XENIO_STORE_H */
