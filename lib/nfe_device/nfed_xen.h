/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Xen attachment of functions, the back end of doc/xen-protocol.md. One struct nfed_xen per
 * process: a xenstore connection whose watches find the devices that the toolstack made. One
 * struct nfed_xen_vif per VIF: a function, and while a front end is there its granted memory and
 * event channel. Control thread only; from the function upward nothing differs from vfio-user.
 *
 * All that a guest writes, keys and index pages and events at any moment, is untrusted: read once,
 * checked, counted by reason.
 */
#ifndef NFED_XEN_H
#define NFED_XEN_H

#include <xenio.h>

#include <nfe_xen.h>

#include "nfed_function.h"
#include "nfed_loop.h"

struct nfed_xen;
struct nfed_xen_vif;

struct nfed_xen_conf {
	struct xenio *x; /* closed by nfed_xen_destroy(), and when create fails */
	struct nfed_loop *loop;
	void (*log)(const char *line); /* life cycle; may be NULL */
};

int nfed_xen_create(const struct nfed_xen_conf *conf, struct nfed_xen **xen);
void nfed_xen_destroy(struct nfed_xen *xen); /* its VIFs are destroyed */
/* Every 10..100 ms: what was put off because a guest came too often. */
void nfed_xen_tick(struct nfed_xen *xen);

struct nfed_xen_vif_conf {
	const char *name; /* the "vif" key of its device; kept by the caller */
	/* Only this device; any: whichever the toolstack names the VIF in. */
	bool any;
	uint16_t domid;
	uint32_t number;
	bool foreign; /* the toolstack may let the guest's memory be mapped without grants */
	struct nfed_function_conf function; /* transport, transport_ctx and db are filled in here */
	/* A front end came or went; why is "" or the reason. May be NULL. */
	void (*attached)(void *owner, bool attached, const char *why);
};

int nfed_xen_vif_create(struct nfed_xen *xen, const struct nfed_xen_vif_conf *conf,
			struct nfed_xen_vif **v);
void nfed_xen_vif_destroy(struct nfed_xen_vif *v);
struct nfed_function *nfed_xen_vif_function(struct nfed_xen_vif *v);
/* Eventfd that is set when the guest kicks; the owner's lcore sleeps on it. */
int nfed_xen_vif_data_kick_fd(const struct nfed_xen_vif *v);
bool nfed_xen_vif_connected(const struct nfed_xen_vif *v);
/* Of the device that the VIF is bound to; false: none. */
bool nfed_xen_vif_device(const struct nfed_xen_vif *v, uint16_t *domid, uint32_t *number);
enum nfe_xen_state nfed_xen_vif_state(const struct nfed_xen_vif *v); /* as we wrote it */
/* Pages that are mapped without a grant. */
uint32_t nfed_xen_vif_foreign_pages(const struct nfed_xen_vif *v);
const char *nfe_xen_state_name(unsigned int state);

#define NFED_XEN_COUNTERS(X) \
	X(attached, "front ends that connected") \
	X(detached, "front ends that went") \
	X(failed, "attempts to connect that failed") \
	X(events, "notifications from the guest") \
	X(interrupts, "notifications to the guest") \
	X(storms, "times the guest notified too often and was silenced for a while") \
	X(too_soon, "attempts to connect that were put off") \
	X(put_off, "looks at the front end that were put off: it took too much time") \
	X(gone, "domains that ended while attached or bound") \
	X(bad_state, "states of the front end that are none, or not at that moment") \
	X(missing, "keys missing") \
	X(bad_value, "keys that are no number") \
	X(bad_version, "protocol version unknown") \
	X(bad_pages, "number of pages out of range") \
	X(bad_ref, "grant reference out of range") \
	X(duplicate_ref, "page listed twice") \
	X(bad_index, "index page with wrong magic, version, count or order") \
	X(unmappable, "grants that could not be mapped") \
	X(foreign_denied, "memory to be mapped without a grant, which is not allowed") \
	X(foreign_bad, "frames that are no memory of the guest") \
	X(died, "front ends whose process ended without a word") \
	X(bad_channel, "event channel that could not be bound") \
	X(boot_failed, "functions that did not boot") \
	X(bad_bounds, "mappings outside the arena or in its doorbell pages") \
	X(io_errors, "requests that xenstore refused")

struct nfed_xen_counters {
#define NFED_XEN_COUNTER_FIELD(name, help) uint64_t name;
	NFED_XEN_COUNTERS(NFED_XEN_COUNTER_FIELD)
#undef NFED_XEN_COUNTER_FIELD
};
const struct nfed_xen_counters *nfed_xen_vif_counters(const struct nfed_xen_vif *v);

#endif /* NFED_XEN_H */
