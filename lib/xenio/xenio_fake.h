/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A little Xen within one process, for tests and fuzzers: xenstore with permissions, watches and
 * transactions; grants as memfds that both sides map; event channels as eventfds. Any number of
 * domains, several handles per domain, any thread.
 *
 * What it does as the real one: nodes inherit permissions, a watch fires once when it is set, a
 * removed node fires the watches below it, a port fires once when it is bound, a notified port is
 * silent until unmasked, pages stay while they are mapped, a mapping's end clears its byte.
 * What it leaves out: quotas, and reading one's own removals within a transaction.
 */
#ifndef XENIO_FAKE_H
#define XENIO_FAKE_H

#include "xenio.h"

struct xenio_fake;

struct xenio_fake *xenio_fake_create(void); /* with domain 0 in it */
void xenio_fake_destroy(struct xenio_fake *w); /* all handles are closed */

void xenio_fake_add_domain(struct xenio_fake *w, uint16_t domid);
/* xl destroy: nodes gone, ports closed, pages stay as long as somebody maps them. */
void xenio_fake_destroy_domain(struct xenio_fake *w, uint16_t domid);
/* xl save and xl restore: its processes go on as domain to, with new nodes; grants and ports are
 * void, watches fire. */
void xenio_fake_restore_domain(struct xenio_fake *w, uint16_t from, uint16_t to);
/* What it granted cannot be mapped any more. */
void xenio_fake_void_grants(struct xenio_fake *w, uint16_t domid);
/* It stopped by itself and was kept. */
void xenio_fake_crash_domain(struct xenio_fake *w, uint16_t domid);

/* An HVM or PVH domain: its memory can be mapped by frame number. page() says what file a frame is in
 * and where, or < 0: there is none. Called with the world locked. */
typedef int (*xenio_fake_page_fn)(void *arg, uint64_t gfn, uint64_t *offset);
void xenio_fake_memory(struct xenio_fake *w, uint16_t domid, xenio_fake_page_fn page, void *arg);

int xenio_fake_open(struct xenio_fake *w, uint16_t domid, struct xenio **x);
/* From now on requests to xenstore fail with -EIO: what follows looks to others as if the process
 * had been killed, which tells xenstore nothing and lets the kernel clean up. */
void xenio_fake_mute(struct xenio *x);
void xenio_fake_unmute(struct xenio *x); /* no: xenstored was slow */

/* Errors to come: the call number n from now on fails; 0: none. */
enum xenio_fake_call {
	XENIO_FAKE_SHARE,
	XENIO_FAKE_MAP, /* map_notify and foreign_map too */
	XENIO_FAKE_BIND, /* unbound too */
	XENIO_FAKE_WRITE,
	XENIO_FAKE_CALLS
};
void xenio_fake_fail(struct xenio_fake *w, enum xenio_fake_call call, unsigned int n, int error);
/* Pages that may be granted, by all domains together, those given back but still mapped included;
 * 0: no limit. Beyond it share fails with -ENOSPC. */
void xenio_fake_limit(struct xenio_fake *w, unsigned int nb_pages);
/* The next n transactions end with -EAGAIN. */
void xenio_fake_conflict(struct xenio_fake *w, unsigned int n);

struct xenio_fake_counts { /* what exists now */
	unsigned int handles, watches, granted, mapped, ports, evts, transactions;
	unsigned int foreign; /* of the mapped pages: without a grant */
	uint64_t notifies; /* since creation */
	unsigned int oopses; /* likewise: ports of a domain that was restored since were closed, or
				notified by a page */
};
void xenio_fake_counts(struct xenio_fake *w, struct xenio_fake_counts *counts);

#endif /* XENIO_FAKE_H */
