/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Inside the Xen bus, the front end of doc/xen-protocol.md:
 *
 *	nfe_bus_xen.c        connect, disconnect, the bus operations
 *	nfe_bus_xen_state.c  xenstore: registers as keys, commands as states
 *	nfe_bus_xen_arena.c  granted memory and its index
 *	nfe_bus_xen_pump.c   a thread for events and watches
 *
 * The bus owns all of it until destroy(), the arena included: clients' memory lies in it.
 */
#ifndef NFE_BUS_XEN_PRIV_H
#define NFE_BUS_XEN_PRIV_H

#include <pthread.h>
#include <stdbool.h>

#include <nfe_xen.h>
#include <xenio.h>

#include "nfe_bus.h"

#define XB_MAX_VECTORS 1025u
#define XB_MAX_CHANNELS 1024u
#define XB_PIECES 8u
#define XB_MAX_INDEX ((NFE_XEN_MAX_PAGES + NFE_XEN_INDEX_REFS - 1) / NFE_XEN_INDEX_REFS)
/* Until Closed, until InitWait again, and for what the bus is not asked about. Xenstore and the back
 * end wait for dom0's CPUs, which the start or end of a big domain keeps busy for seconds. */
#define XB_ANSWER_MS 10000
#define XB_SUCCEED_MS 2000 /* for the pages of a predecessor */
#define XB_LOOK_MS 50 /* a look at a state that has not changed yet */
#define XB_AGAIN_MS 20   /* a back end that was there before: others retry for us */

#define XB_WATCH_TOKEN "b"
#define XB_STATE(state) (1u << NFE_XEN_##state)
#define XB_ANY_STATE UINT32_MAX
#define XB_CONNECTING (XB_STATE(INIT_WAIT) | XB_STATE(CONNECTED) | XB_STATE(CLOSING) | \
		       XB_STATE(CLOSED)) /* not yet ours: go_again() */

struct xb_piece { /* of the arena; shared: the device reads and writes all of it */
	uint8_t *addr;
	uint32_t first_page, nr_pages;
};

struct xen_bus {
	struct nfe_bus bus;
	uint32_t number; /* N of xen:N */
	uint16_t domid, backend_id;
	char front[XENIO_PATH_MAX], back[XENIO_PATH_MAX]; /* back "": not known yet */
	struct xenio *x; /* NULL: not opened yet */
	struct xenio_evt *evt; /* atomic */
	bool evt_void; /* its ports are another domain's: it can be neither used nor closed */
	int port; /* atomic: ours, of this connection, or XENIO_NO_PORT */
	enum nfe_xen_state state; /* ours, as written */
	uint32_t reg[NFE_REG_END / 8]; /* what the back end published, what we shall tell it */

	struct xb_piece piece[XB_PIECES]; /* of the arena; the doorbells last */
	unsigned int nb_pieces;
	uint32_t nr_pages, doorbell_page;
	uint32_t *refs; /* of all pages, in order */
	bool stale;     /* they are void: this domain was restored since */
	bool was_connected; /* with them */
	struct nfe_xen_index *index; /* NULL: not complete. Shared: the device clears "alive" */
	uint32_t nb_index, index_ref; /* pages, grant of the first */
	uint32_t max_foreign;      /* pages that need no grant; 0: all do */
	struct nfe_xen_life *life; /* of this connection; NULL: none */
	uint32_t life_ref;
	int life_port; /* that its end notifies, or XENIO_NO_PORT */

	pthread_t pump;
	bool pumping;
	int stop_fd;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	uint32_t changes;         /* of the back end's state */
	uint32_t expected_states; /* by bit; another one is a hang-up */
	bool up;                  /* Connected was seen */
	int hup_fd, hup_peer;     /* of this connection, or -1 */
	int irq_fd[XB_MAX_VECTORS]; /* -1: nobody asked for it */
};

static inline struct xen_bus *
xb_of(struct nfe_bus *bus)
{
	return (struct xen_bus *)(void *)bus;
}

/* Sets bus.why, returns rc. */
int xb_fail(struct xen_bus *xb, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* nfe_bus_xen.c: xenstore, event channel, and where the back end is; nothing if that was done. */
int xb_open(struct xen_bus *xb);

/* Which domain we are now, for it may have been restored as another one. */
int xb_find_self(struct xen_bus *xb);

/* nfe_bus_xen_state.c */
int xb_find_backend(struct xen_bus *xb);
int xb_set_state(struct xen_bus *xb, enum nfe_xen_state state);
/* Until the back end is in one of the states; -ETIMEDOUT. */
int xb_wait_backend(struct xen_bus *xb, uint32_t states, unsigned int timeout_ms, uint32_t *state);
uint32_t xb_backend_state(struct xen_bus *xb); /* UNKNOWN: none */
/* A predecessor that was killed left its pages with the back end, and they count against the limit
 * of this domain: the back end is told to let go before we grant ours. Without an answer we try. */
void xb_succeed(struct xen_bus *xb);
int xb_read_registers(struct xen_bus *xb);
int xb_reg_read(struct nfe_bus *bus, uint32_t reg, uint32_t *value);
int xb_reg_write(struct nfe_bus *bus, uint32_t reg, uint32_t value);

/* nfe_bus_xen_arena.c */
/* With the doorbell pages, the last piece. */
int xb_arena_complete(struct xen_bus *xb, unsigned int nb_doorbells);
/* All pages anew, where they are. */
int xb_arena_renew(struct xen_bus *xb);
void xb_arena_destroy(struct xen_bus *xb);
int xb_mem_alloc(struct nfe_bus *bus, size_t len, struct nfe_bus_mem *mem);
void xb_mem_free(struct nfe_bus *bus, struct nfe_bus_mem *mem);
int xb_mem_map(struct nfe_bus *bus, uint64_t iova, void *addr, size_t len, int fd,
	       uint64_t fd_offset);
int xb_mem_unmap(struct nfe_bus *bus, uint64_t iova, size_t len);

/* The life page of a connection, by which the back end sees our end; needs the event channel. */
int xb_life_open(struct xen_bus *xb);
void xb_life_close(struct xen_bus *xb);

/* nfe_bus_xen_pump.c */
int xb_pump_start(struct xen_bus *xb);
void xb_pump_stop(struct xen_bus *xb);
void xb_expect(struct xen_bus *xb, uint32_t states, bool up);
void xb_hang_up(struct xen_bus *xb);
int xb_hup_open(struct xen_bus *xb);
void xb_hup_close(struct xen_bus *xb);
int xb_irq_fd(struct nfe_bus *bus, unsigned int vector);
uint64_t xb_now_ms(void);

#endif /* NFE_BUS_XEN_PRIV_H */
