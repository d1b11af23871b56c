/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the files of the Xen back end share:
 *
 *	nfed_xen.c         devices come and go: watches, domains, which VIF a device is
 *	nfed_xen_vif.c     a VIF: creation, events, interrupts
 *	nfed_xen_state.c   its XenbusState machine, keys in and out
 *	nfed_xen_arena.c   granted memory: index, checks, mapping, the transport's map and unmap
 *	nfed_xen_foreign.c memory without grants, where that is allowed
 */
#ifndef NFED_XEN_INTERNAL_H
#define NFED_XEN_INTERNAL_H

#include "nfed_allowance.h"
#include "nfed_clock.h"
#include "nfed_xen.h"

#define NFED_XEN_WHY 160 /* bytes of a reason in words */

#define NFED_XEN_NOTED_DEVICES 64 /* beyond that all are looked at */
struct nfed_xen_noted { /* by the watches that fired, to be looked at in this turn */
	bool domains, scan; /* all of them */
	unsigned int nb_devices;
	struct {
		uint16_t domid;
		uint32_t number;
	} device[NFED_XEN_NOTED_DEVICES];
};

struct nfed_xen {
	struct nfed_xen_conf conf;
	uint16_t domid; /* ours */
	char dir[XENIO_PATH_MAX]; /* of all back ends */
	struct nfed_xen_vif *vifs;
	const struct nfed_xen_vif *looking_for; /* NULL: any */
	struct nfed_xen_noted noted;
	bool scan_again; /* at the next tick */
};

struct nfed_xen_arena {
	uint8_t *base; /* NULL: none */
	uint32_t nr_pages, doorbell_page, nb_doorbells;
	struct nfe_xen_index *head; /* stays mapped: its end tells the guest of ours */
	struct nfe_xen_life *life;  /* its end tells us of the guest's process; NULL: none */
	unsigned int live; /* mappings given to the function */
};

struct nfed_xen_vif {
	struct nfed_xen *xen;
	struct nfed_xen_vif_conf conf;
	struct nfed_function *fn;
	struct nfed_xen_counters counters;
	uint32_t max_pages;
	uint32_t max_foreign;   /* pages; 0: not allowed with this device */
	uint32_t foreign_pages; /* mapped now */

	bool bound; /* to a device: */
	uint16_t domid;
	uint32_t number;
	char front[XENIO_PATH_MAX], back[XENIO_PATH_MAX];
	enum nfe_xen_state state; /* ours, as written */
	uint64_t next_attach_ms;
	struct nfed_allowance time_us; /* of the control thread, for its front end */
	bool look;       /* in this turn: the front end's state has changed */
	bool look_again; /* at the next tick */
	bool tell_again; /* likewise: xenstored has not taken our state */
	bool watch_again; /* likewise: nor the watch of the front end's */
	bool find_again; /* a device for it, now that it has none: at the end of this turn */

	struct xenio_evt *evt;
	int port;          /* or XENIO_NO_PORT */
	int silenced_port; /* masked until the next tick, or XENIO_NO_PORT */
	uint64_t window_ms;
	unsigned int window_events;
	int data_kick_fd, control_kick_fd;
	struct nfed_allowance log_lines; /* ms */
	unsigned int log_suppressed;
	struct nfed_xen_arena arena;
	struct nfed_xen_vif *next;
};

void nfed_xen_log(const struct nfed_xen *xen, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A line that the guest can cause as often as it likes: beyond a few a second they are counted. */
void nfed_xen_vif_log(struct nfed_xen_vif *v, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* nfed_xen.c: the device that the VIF is bound to is no more. */
void nfed_xen_unbind(struct nfed_xen_vif *v, const char *why);
/* Look for the device of a VIF that came later than its device. */
void nfed_xen_scan(struct nfed_xen *xen);
/* Only for a device of v, saying nothing of others: their VIFs may not be there yet. */
void nfed_xen_find(struct nfed_xen *xen, const struct nfed_xen_vif *v);

/* nfed_xen_state.c */
/* The VIF has a device now: publish, InitWait, and act on the front end's state. */
void nfed_xen_state_start(struct nfed_xen_vif *v);
/* Write our state, which xenstored may not take; then again at the next tick. */
void nfed_xen_state_tell(struct nfed_xen_vif *v);
/* The front end's state may have changed; put off to a tick if it took too much of our time. */
void nfed_xen_state_look(struct nfed_xen_vif *v);
/* Let go of the front end if there is one; ours becomes Closed. */
void nfed_xen_state_close(struct nfed_xen_vif *v, const char *why);
/* The same, if its process has ended. */
bool nfed_xen_state_bury(struct nfed_xen_vif *v);
/* The same, saying nothing: the device's keys are gone, or another's already. */
void nfed_xen_state_leave(struct nfed_xen_vif *v, const char *why);

/* nfed_xen_vif.c */
int nfed_xen_channel_bind(struct nfed_xen_vif *v, uint32_t remote_port);
void nfed_xen_channel_unbind(struct nfed_xen_vif *v);
void nfed_xen_unsilence(struct nfed_xen_vif *v);

/* nfed_xen_arena.c. 0, or a negative errno with its reason in why[NFED_XEN_WHY], counted. */
int nfed_xen_arena_map(struct nfed_xen_vif *v, uint32_t index_ref, uint32_t nr_pages,
		       uint32_t doorbell_page, char *why);
int nfed_xen_life_map(struct nfed_xen_vif *v, uint32_t life_ref, char *why);
/* The front end's process ended, and said nothing. */
bool nfed_xen_died(const struct nfed_xen_vif *v);
void nfed_xen_arena_unmap(struct nfed_xen_vif *v);
void nfed_xen_arena_alive(struct nfed_xen_vif *v);
int nfed_xen_transport_map(void *ctx, uint64_t iova, uint64_t len, uint32_t access,
			   uint32_t *poisoned, unsigned int *nb_mappings, uint8_t **base,
			   void **mapping);
void nfed_xen_transport_unmap(void *ctx, void *mapping);

/* nfed_xen_foreign.c */
/* What this device allows, into v->max_foreign; why not, in words, or "". */
void nfed_xen_foreign_decide(struct nfed_xen_vif *v, char why[NFED_XEN_WHY]);
int nfed_xen_foreign_map(struct nfed_xen_vif *v, uint64_t iova, uint64_t len, uint8_t **base,
			 void **mapping);
void nfed_xen_foreign_unmap(struct nfed_xen_vif *v, void *mapping);

#endif /* NFED_XEN_INTERNAL_H */
