/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * XenbusState of the back end, and the keys behind it (doc/xen-protocol.md 2, 3):
 *
 *	 published                 front Initialised, mapped, READY
 *	───────────► InitWait ───────────────────────────────────► Connected
 *	                ▲   │                                        │   │
 *	                │   │ front Initialised, but bad             │   │ front Closing, Closed,
 *	                │   └──────────────────► Closing             │   │ no state, domain ended
 *	   front        │                          │ │               │   ▼
 *	   Initialising ├──────────────────────────┘ └─────────────────► Closed
 *	                └──────────────────────────────────────────────────┘
 *
 * The table below has every pair of states; act() owns the transitions. Control thread. Keys are
 * read once each, at Initialised: what the guest writes afterwards changes nothing.
 *
 * All of it takes the control thread, which all guests have together: requests to xenstored wait
 * for their answers, mapping takes long. So a guest gets a quarter of its time, beside a second at
 * once; then its changes wait for a tick. What others make us do, such as to let go of a device
 * that is removed, is done in any case, and charged.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nfed_xen_internal.h"

/* From the end of an attempt to the next: mapping costs us more than asking for it costs the guest.
 * At least so long, and so many times as long as the attempt. */
#define ATTACH_PERIOD_MS 50
#define ATTACH_REST 3u
/* The control thread's time for what a front end makes us do: so much at once, then a quarter. */
#define AHEAD_US 1000000
#define SHARE 4u

enum action {
	STAY,
	ODD,     /* not at this moment: stay, but count it */
	ATTACH,
	RESTART, /* let go: InitWait */
	CLOSE,   /* let go: Closed */
};

/* By our state, then the front end's. */
static const uint8_t actions[NFE_XEN_STATES][NFE_XEN_STATES] = {
	[NFE_XEN_INIT_WAIT] = { STAY, STAY, ODD, ATTACH, STAY, CLOSE, CLOSE },
	[NFE_XEN_CONNECTED] = { CLOSE, RESTART, ODD, STAY, STAY, CLOSE, CLOSE },
	[NFE_XEN_CLOSING] = { CLOSE, RESTART, ODD, STAY, ODD, CLOSE, CLOSE },
	[NFE_XEN_CLOSED] = { STAY, RESTART, ODD, ODD, ODD, STAY, STAY },
};

static const struct {
	uint32_t reg;
	const char *key;
} device_regs[] = {
#define REG_KEY(reg, key) { reg, key },
	NFE_XEN_DEVICE_REGS(REG_KEY)
}, host_regs[] = {
	NFE_XEN_HOST_REGS(REG_KEY)
#undef REG_KEY
};
#define NB_DEVICE_REGS (sizeof(device_regs) / sizeof(device_regs[0]))
#define NB_HOST_REGS (sizeof(host_regs) / sizeof(host_regs[0]))

struct request { /* of a front end that is Initialised */
	uint32_t version, index_ref, nr_pages, doorbell_page, event_channel, life_ref;
	uint32_t host[NB_HOST_REGS];
};

const char *
nfe_xen_state_name(unsigned int state)
{
	static const char *const names[NFE_XEN_STATES] = {
		"Unknown", "Initialising", "InitWait", "Initialised", "Connected", "Closing", "Closed",
	};

	return state < NFE_XEN_STATES ? names[state] : "none";
}

/* At most what is there at once: when xenstored does not answer, that is not the guest's doing. */
static uint64_t
spent_us(uint64_t from_us)
{
	uint64_t us = nfed_now_us() - from_us;

	return us < AHEAD_US ? us : AHEAD_US;
}

static const struct nfed_allowance_limit time_limit = { AHEAD_US, (uint64_t)SHARE * AHEAD_US };

static bool
has_time(struct nfed_xen_vif *v)
{
	return nfed_allowance_count(&v->time_us, &time_limit, nfed_now_us()) > 0;
}

static void
charge(struct nfed_xen_vif *v, uint64_t from_us)
{
	nfed_allowance_charge(&v->time_us, &time_limit, nfed_now_us(), (int64_t)spent_us(from_us));
}

/* A key of ours. What xenstore refuses is counted: the node may have been removed meanwhile. */
static int __attribute__((format(printf, 3, 4)))
put(struct nfed_xen_vif *v, const char *key, const char *format, ...)
{
	char value[XENIO_VALUE_MAX];
	va_list ap;
	int rc;

	va_start(ap, format);
	vsnprintf(value, sizeof(value), format, ap);
	va_end(ap);
	rc = xenio_write(v->xen->conf.x, XENIO_NO_TX, v->back, key, "%s", value);
	if (rc < 0)
		v->counters.io_errors++;
	return rc;
}

void
nfed_xen_state_tell(struct nfed_xen_vif *v)
{
	v->tell_again = put(v, NFE_XEN_KEY_STATE, "%u", v->state) == -EIO;
}

static void
set_state(struct nfed_xen_vif *v, enum nfe_xen_state to, const char *why)
{
	if (v->state != to)
		nfed_xen_vif_log(v, "%s -> %s%s%s", nfe_xen_state_name(v->state),
				 nfe_xen_state_name(to), why[0] != '\0' ? ": " : "", why);
	v->state = to;
	nfed_xen_state_tell(v);
}

struct publication {
	struct nfed_xen_vif *v;
	char error[NFED_XEN_WHY]; /* of what was asked for and is not allowed */
};

static int
publish_tx(struct xenio *x, xenio_tx tx, void *arg)
{
	const struct publication *p = arg;
	struct nfed_xen_vif *v = p->v;
	int rc = xenio_write(x, tx, v->back, NFE_XEN_KEY_VERSION, "%u", NFE_XEN_VERSION);

	if (rc == 0)
		rc = xenio_write(x, tx, v->back, NFE_XEN_KEY_MAX_PAGES, "%u", v->max_pages);
	for (unsigned int i = 0; i < NB_DEVICE_REGS && rc == 0; i++)
		rc = xenio_write(x, tx, v->back, device_regs[i].key, "0x%x",
				 nfed_reg_read(v->fn, device_regs[i].reg, 4));
	if (rc == 0)
		rc = xenio_write(x, tx, v->back, NFE_XEN_KEY_MAX_FOREIGN, "%u", v->max_foreign);
	if (rc == 0)
		rc = xenio_write(x, tx, v->back, NFE_XEN_KEY_ERROR, "%s", p->error);
	return rc;
}

/* Once per device: limits do not change while the function exists. */
static void
publish(struct nfed_xen_vif *v)
{
	struct publication p = { .v = v };

	nfed_xen_foreign_decide(v, p.error);
	if (p.error[0] != '\0')
		nfed_xen_log(v->xen, "vif %s: xen %u/%u: %s", v->conf.name, v->domid, v->number,
			     p.error);
	if (xenio_transact(v->xen->conf.x, publish_tx, &p) < 0)
		v->counters.io_errors++;
}

/*
 * For a front end whose process ended: nobody else says it, and the toolstack waits for that. In a
 * transaction that is tried once: whoever writes meanwhile is a successor, and the state is his.
 */
static void
say_closed(struct nfed_xen_vif *v)
{
	struct xenio *x = v->xen->conf.x;
	char path[XENIO_PATH_MAX], value[XENIO_VALUE_MAX];
	uint32_t state = NFE_XEN_UNKNOWN;
	xenio_tx tx;

	if (x->ops->tx_start(x, &tx) < 0)
		return;
	snprintf(path, sizeof(path), "%.100s/" NFE_XEN_KEY_STATE, v->front);
	if (x->ops->read(x, tx, path, value, sizeof(value)) > 0)
		(void)xenio_parse_u32(value, &state);
	if ((state != NFE_XEN_INITIALISED && state != NFE_XEN_CONNECTED) ||
	    xenio_write(x, tx, v->front, NFE_XEN_KEY_STATE, "%u", NFE_XEN_CLOSED) < 0)
		state = NFE_XEN_UNKNOWN;
	(void)x->ops->tx_end(x, tx, state == NFE_XEN_UNKNOWN);
}

/* On return the guest's memory is not used any more. */
static void
let_go(struct nfed_xen_vif *v, const char *why)
{
	bool was = v->state == NFE_XEN_CONNECTED, died = nfed_xen_died(v);

	nfed_function_set_doorbells(v->fn, NULL); /* RESET: lcores have left, regions are gone */
	nfed_xen_arena_unmap(v);
	nfed_xen_channel_unbind(v); /* after the arena: unmapping notifies it */
	if (died) {
		v->counters.died++;
		say_closed(v);
	}
	if (!was)
		return;
	v->counters.detached++;
	if (v->conf.attached != NULL)
		v->conf.attached(v->conf.function.owner, false, why);
}

/* One number of the front end. Missing and malformed are counted here, the range by the caller. */
static int
get(struct nfed_xen_vif *v, const char *key, uint32_t *value, char *why)
{
	int rc = xenio_read_u32(v->xen->conf.x, v->front, key, value);

	if (rc == 0)
		return 0;
	if (rc == -EINVAL || rc == -ERANGE)
		v->counters.bad_value++;
	else
		v->counters.missing++;
	snprintf(why, NFED_XEN_WHY, "key %s: %s", key,
		 rc == -ENOENT ? "missing" : rc == -EINVAL ? "not a number" : strerror(-rc));
	return rc;
}

/* The one key that may be missing. */
static int
get_life_ref(struct nfed_xen_vif *v, uint32_t *ref, char *why)
{
	int rc = xenio_read_u32(v->xen->conf.x, v->front, NFE_XEN_KEY_LIFE_REF, ref);

	if (rc != -ENOENT)
		return rc == 0 ? 0 : get(v, NFE_XEN_KEY_LIFE_REF, ref, why);
	*ref = 0;
	return 0;
}

static int
read_request(struct nfed_xen_vif *v, struct request *r, char *why)
{
	const struct {
		const char *key;
		uint32_t *value;
	} keys[] = {
		{ NFE_XEN_KEY_VERSION, &r->version },
		{ NFE_XEN_KEY_INDEX_REF, &r->index_ref },
		{ NFE_XEN_KEY_NR_PAGES, &r->nr_pages },
		{ NFE_XEN_KEY_DOORBELL_PAGE, &r->doorbell_page },
		{ NFE_XEN_KEY_EVENT_CHANNEL, &r->event_channel },
	};
	int rc = 0;

	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]) && rc == 0; i++)
		rc = get(v, keys[i].key, keys[i].value, why);
	for (unsigned int i = 0; i < NB_HOST_REGS && rc == 0; i++)
		rc = get(v, host_regs[i].key, &r->host[i], why);
	return rc == 0 ? get_life_ref(v, &r->life_ref, why) : rc;
}

/* The reason of refusal, or NONE. Addresses and sizes in the boot block are the function's. */
static enum nfe_reason
check_request(struct nfed_xen_vif *v, const struct request *r, char *why)
{
	uint32_t min_pages = v->conf.function.limits.max_channels + 2u;

	if (r->version != NFE_XEN_VERSION) {
		v->counters.bad_version++;
		snprintf(why, NFED_XEN_WHY, "protocol version %u, ours is %u", r->version,
			 NFE_XEN_VERSION);
		return NFE_REASON_ABI;
	}
	if (r->nr_pages < min_pages || r->nr_pages > v->max_pages) {
		v->counters.bad_pages++;
		snprintf(why, NFED_XEN_WHY, "%u pages not in %u..%u", r->nr_pages, min_pages,
			 v->max_pages);
		return NFE_REASON_BOOT_MEMORY;
	}
	if (r->doorbell_page >= r->nr_pages || r->nr_pages - r->doorbell_page < min_pages - 1) {
		v->counters.bad_pages++;
		snprintf(why, NFED_XEN_WHY, "doorbell page %u of %u: %u pages needed there",
			 r->doorbell_page, r->nr_pages, min_pages - 1);
		return NFE_REASON_BOOT_MEMORY;
	}
	return NFE_REASON_NONE;
}

/* As a driver on any other transport does it: registers, then COMMAND. */
static enum nfe_reason
boot(struct nfed_xen_vif *v, const struct request *r, char *why)
{
	nfed_function_set_doorbells(v->fn, v->arena.base +
					    (uint64_t)v->arena.doorbell_page * NFE_PAGE_SIZE);
	for (unsigned int i = 0; i < NB_HOST_REGS; i++)
		nfed_reg_write(v->fn, host_regs[i].reg, 4, r->host[i]);
	nfed_reg_write(v->fn, NFE_REG_COMMAND, 4, NFE_CMD_GO);
	if (nfed_function_state(v->fn) == NFE_STATE_READY)
		return NFE_REASON_NONE;
	v->counters.boot_failed++;
	snprintf(why, NFED_XEN_WHY, "%s", nfed_function_reason_text(v->fn));
	return nfed_function_reason(v->fn);
}

/* Everything up to a function that is READY. */
static enum nfe_reason
take(struct nfed_xen_vif *v, char *why)
{
	struct request r;
	enum nfe_reason reason;
	int rc;

	if (read_request(v, &r, why) < 0)
		return NFE_REASON_BOOT_BLOCK;
	reason = check_request(v, &r, why);
	if (reason != NFE_REASON_NONE)
		return reason;
	rc = nfed_xen_channel_bind(v, r.event_channel);
	if (rc < 0) {
		v->counters.bad_channel++;
		snprintf(why, NFED_XEN_WHY, "event channel %u: %s", r.event_channel, strerror(-rc));
		return NFE_REASON_BOOT_BLOCK;
	}
	if (nfed_xen_arena_map(v, r.index_ref, r.nr_pages, r.doorbell_page, why) < 0 ||
	    nfed_xen_life_map(v, r.life_ref, why) < 0)
		return NFE_REASON_BOOT_MEMORY;
	return boot(v, &r, why);
}

static void
refuse(struct nfed_xen_vif *v, enum nfe_reason reason, const char *why)
{
	v->counters.failed++;
	let_go(v, why);
	put(v, NFE_XEN_KEY_REASON, "%u", reason);
	put(v, NFE_XEN_KEY_ERROR, "%s", why);
	set_state(v, NFE_XEN_CLOSING, why);
}

static void
welcome(struct nfed_xen_vif *v)
{
	v->counters.attached++;
	nfed_xen_arena_alive(v);
	put(v, NFE_XEN_KEY_GENERATION, "%u", nfed_reg_read(v->fn, NFE_REG_GENERATION, 4));
	put(v, NFE_XEN_KEY_LINK, "%u",
	    (nfed_reg_read(v->fn, NFE_REG_STATUS, 4) & NFE_STATUS_LINK) != 0);
	set_state(v, NFE_XEN_CONNECTED, "");
	if (v->conf.attached != NULL)
		v->conf.attached(v->conf.function.owner, true, "");
}

static void
attach(struct nfed_xen_vif *v)
{
	char why[NFED_XEN_WHY] = "out of memory";
	uint64_t from_us = nfed_now_us(), rest_ms;
	enum nfe_reason reason;

	if (nfed_now_ms() < v->next_attach_ms) {
		v->counters.too_soon++;
		v->look_again = true;
		return;
	}
	reason = take(v, why);
	if (reason == NFE_REASON_NONE)
		welcome(v);
	else
		refuse(v, reason, why);
	rest_ms = ATTACH_REST * spent_us(from_us) / 1000;
	v->next_attach_ms = nfed_now_ms() +
			    (rest_ms > ATTACH_PERIOD_MS ? rest_ms : ATTACH_PERIOD_MS);
}

/* A device that was removed and made again before we looked has lost what was published. */
static void
wait_again(struct nfed_xen_vif *v, const char *why)
{
	struct xenio *x = v->xen->conf.x;
	uint32_t version;

	if (xenio_read_u32(x, v->back, NFE_XEN_KEY_VERSION, &version) == -ENOENT)
		publish(v);
	set_state(v, NFE_XEN_INIT_WAIT, why);
}

static void
act(struct nfed_xen_vif *v, unsigned int front)
{
	char why[64];

	snprintf(why, sizeof(why), "the front end is %s",
		 front == NFE_XEN_UNKNOWN ? "gone" : nfe_xen_state_name(front));
	switch ((enum action)actions[v->state][front]) {
	case STAY:
		break;
	case ODD:
		v->counters.bad_state++;
		break;
	case ATTACH:
		attach(v);
		break;
	case RESTART:
		let_go(v, why);
		wait_again(v, why);
		break;
	case CLOSE:
		let_go(v, why);
		set_state(v, NFE_XEN_CLOSED, why);
		break;
	}
}

static void
look(struct nfed_xen_vif *v)
{
	uint32_t front = NFE_XEN_UNKNOWN;
	int rc;

	rc = xenio_read_u32(v->xen->conf.x, v->front, NFE_XEN_KEY_STATE, &front);
	if (rc == -EIO) { /* xenstored does not answer: nothing is known, and the watch is over */
		v->look_again = true;
		return;
	}
	if (rc == -EINVAL || rc == -ERANGE || front >= NFE_XEN_STATES) {
		v->counters.bad_state++;
		front = NFE_XEN_UNKNOWN;
	}
	act(v, front);
}

/* Its neighbours' changes are looked at meanwhile; at last what then stands there counts. */
static void
put_off(struct nfed_xen_vif *v)
{
	v->counters.put_off++;
	v->look_again = true;
}

void
nfed_xen_state_look(struct nfed_xen_vif *v)
{
	uint64_t from_us = nfed_now_us();

	v->look = v->look_again = false;
	if (!v->bound)
		return;
	if (!has_time(v)) {
		put_off(v);
		return;
	}
	look(v);
	charge(v, from_us);
}

void
nfed_xen_state_start(struct nfed_xen_vif *v)
{
	v->state = NFE_XEN_INITIALISING;
	v->next_attach_ms = 0;
	nfed_function_set_doorbells(v->fn, NULL);
	publish(v);
	set_state(v, NFE_XEN_INIT_WAIT, "");
	nfed_xen_state_look(v);
}

void
nfed_xen_state_leave(struct nfed_xen_vif *v, const char *why)
{
	uint64_t from_us = nfed_now_us();

	let_go(v, why);
	v->state = NFE_XEN_UNKNOWN;
	charge(v, from_us);
}

void
nfed_xen_state_close(struct nfed_xen_vif *v, const char *why)
{
	uint64_t from_us = nfed_now_us();

	let_go(v, why);
	set_state(v, NFE_XEN_CLOSED, why);
	charge(v, from_us);
}

bool
nfed_xen_state_bury(struct nfed_xen_vif *v)
{
	if (!nfed_xen_died(v))
		return false;
	nfed_xen_state_close(v, "the program in the guest ended");
	return true;
}
