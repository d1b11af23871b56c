/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Inside the fake: xenio_fake.c has handles, domains and events, xenio_fake_store.c the xenstore,
 * xenio_fake_watch.c its watches, xenio_fake_grant.c the grants. One lock for the whole world; "_locked": the caller holds it.
 */
#ifndef XENIO_FAKE_PRIV_H
#define XENIO_FAKE_PRIV_H

#include <pthread.h>

#include "xenio_fake.h"

#define FAKE_PERMS 4
#define FAKE_NO_BYTE UINT32_MAX

struct fake_node {
	char *path, *value;
	struct xenio_perm perm[FAKE_PERMS];
	unsigned int nb_perms;
	uint64_t generation; /* of the world, when it was changed last */
	struct fake_node *next;
};

struct fake_watch {
	struct fake_handle *h;
	char *path, *token;
	struct fake_watch *next;
};

struct fake_fired { /* a watch event that waits */
	char *path, *token;
	struct fake_fired *next;
};

enum fake_op_kind { FAKE_OP_READ, FAKE_OP_WRITE, FAKE_OP_RM, FAKE_OP_PERMS };
struct fake_op { /* what a transaction has read, and what it will do */
	enum fake_op_kind kind;
	char *path, *value; /* value NULL: mkdir */
	struct xenio_perm perm[FAKE_PERMS];
	unsigned int nb_perms;
	uint64_t generation; /* of the node that was read; 0: there was none */
	struct fake_op *next;
};

struct fake_tx {
	xenio_tx id;
	struct fake_op *ops; /* in order */
	struct fake_tx *next;
};

struct fake_domain {
	uint16_t domid;
	bool dying, shutdown;
	xenio_fake_page_fn page; /* its own memory by frame number; NULL: a PV domain */
	void *page_arg;
	struct fake_domain *next;
};

struct fake_share { /* pages that one call granted */
	struct fake_handle *h; /* NULL: given back */
	uint16_t owner, peer;
	uint32_t first_ref;
	bool is_void; /* its domain is another one since */
	unsigned int nb_pages, mapped;
	int fd;
	void *addr;
	int notify_port; /* or XENIO_NO_PORT */
	uint32_t notify_byte; /* or FAKE_NO_BYTE */
	struct fake_share *next;
};

struct fake_evt;
struct fake_port {
	struct fake_evt *evt;
	int number;
	uint16_t domid, remote;
	struct fake_port *peer;
	bool masked, pending, queued;
	struct fake_port *next;
};

struct fake_evt {
	struct xenio_evt evt;
	struct fake_handle *h;
	int fd;
	bool is_void; /* had ports when its domain was saved */
	struct fake_evt *next;
};

struct fake_mapping {
	struct fake_handle *h;
	void *addr;
	unsigned int nb_pages;
	uint32_t *refs; /* NULL: foreign, of */
	uint16_t owner;
	int notify_port; /* or XENIO_NO_PORT */
	uint32_t notify_byte;
	struct fake_mapping *next;
};

struct fake_handle {
	struct xenio x;
	struct xenio_fake *w;
	uint16_t domid;
	bool muted;
	char *claimed;
	int watch_fd;
	struct fake_fired *fired;
	struct fake_tx *txs;
	struct fake_handle *next;
};

struct xenio_fake {
	pthread_mutex_t lock;
	struct fake_domain *domains;
	struct fake_handle *handles;
	struct fake_node *nodes;
	struct fake_watch *watches;
	struct fake_share *shares;
	struct fake_mapping *mappings;
	struct fake_evt *evts;
	struct fake_port *ports;
	uint64_t generation; /* changes of nodes so far */
	uint32_t next_ref, next_tx;
	int next_port;
	unsigned int conflicts;
	unsigned int share_limit; /* pages, 0: none */
	unsigned int fail_in[XENIO_FAKE_CALLS];
	int fail_with[XENIO_FAKE_CALLS];
	uint64_t notifies;
	unsigned int oopses;
};

static inline struct fake_handle *
fake_handle_of(struct xenio *x)
{
	return (struct fake_handle *)(void *)x;
}

/* 0, or the error that the test ordered. */
int fake_ordered_locked(struct xenio_fake *w, enum xenio_fake_call call);
struct fake_domain *fake_domain_locked(struct xenio_fake *w, uint16_t domid);
void fake_notify_locked(struct xenio_fake *w, struct fake_port *port);
struct fake_port *fake_port_locked(struct xenio_fake *w, uint16_t domid, int number);

/* xenio_fake_store.c */
int fake_read(struct xenio *x, xenio_tx tx, const char *path, char *value, size_t size);
int fake_write(struct xenio *x, xenio_tx tx, const char *path, const char *value);
int fake_mkdir(struct xenio *x, xenio_tx tx, const char *path);
int fake_rm(struct xenio *x, xenio_tx tx, const char *path);
int fake_list(struct xenio *x, xenio_tx tx, const char *path, char ***names,
	      unsigned int *nb_names);
int fake_set_perms(struct xenio *x, xenio_tx tx, const char *path, const struct xenio_perm *perms,
		   unsigned int nb_perms);
int fake_tx_start(struct xenio *x, xenio_tx *tx);
int fake_tx_end(struct xenio *x, xenio_tx tx, bool abort);
/* xenio_fake_watch.c */
int fake_watch(struct xenio *x, const char *path, const char *token);
int fake_unwatch(struct xenio *x, const char *path, const char *token);
int fake_watch_fd(struct xenio *x);
int fake_watch_next(struct xenio *x, char *path, size_t path_size, char *token, size_t token_size);
void fake_fire_locked(struct xenio_fake *w, const char *path, bool exact);
void fake_watches_forget_locked(struct fake_handle *h);
void fake_remove_tree_locked(struct xenio_fake *w, const char *path);
void fake_store_forget_locked(struct fake_handle *h); /* watches and transactions of a handle */
/* Absolute path in full[XENIO_PATH_MAX]. */
int fake_resolve(const struct fake_handle *h, const char *path, char *full);
bool fake_is_below(const char *path, const char *dir);
int fake_store_init(struct xenio_fake *w);
void fake_store_fini(struct xenio_fake *w);

/* xenio_fake_grant.c */
int fake_share(struct xenio *x, uint16_t domid, unsigned int nb_pages, uint32_t *refs, void **addr);
void fake_unshare(struct xenio *x, void *addr, unsigned int nb_pages);
int fake_reshare(struct xenio *x, uint16_t domid, void *addr, unsigned int nb_pages,
		 uint32_t *refs);
int fake_map(struct xenio *x, uint16_t domid, const uint32_t *refs, unsigned int nb_pages,
	     void **addr);
int fake_map_notify(struct xenio *x, uint16_t domid, uint32_t ref, uint32_t byte_offset,
		    struct xenio_evt *evt, int port, void **addr);
void fake_unmap(struct xenio *x, void *addr, unsigned int nb_pages);
int fake_share_notify(struct xenio *x, uint16_t domid, uint32_t byte_offset, struct xenio_evt *evt,
		      int port, uint32_t *ref, void **addr);
int fake_foreign_map(struct xenio *x, uint16_t domid, const uint64_t *gfns, unsigned int nb_pages,
		     void **addr);
void fake_grants_forget_locked(struct fake_handle *h);
unsigned int fake_mapped_of_locked(const struct xenio_fake *w, uint16_t owner);

#endif /* XENIO_FAKE_PRIV_H */
