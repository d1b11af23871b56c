/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Registers and commands over xenstore (doc/xen-protocol.md 2, 3), the front end's view:
 *
 *	             InitWait seen           GO                back end Connected
 *	Initialising ─────────────► (ready) ────► Initialised ───────────────────► Connected
 *	     ▲                                        │ back end Closing: FAILED       │
 *	     │                                        │ back end Closed: once more     │
 *	     │           back end Closed              │ RESET                          │
 *	     └──────────────────────── Closing ◄──────┴────────────────────────────────┘
 *
 * and Closed at disconnect. Called with nfeh's lock; every wait has a deadline. The back end is
 * trusted no more than needed: numbers are parsed strictly, states compared.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nfe_bus_xen_priv.h"

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

uint32_t
xb_backend_state(struct xen_bus *xb)
{
	uint32_t state;

	if (xenio_read_u32(xb->x, xb->back, NFE_XEN_KEY_STATE, &state) < 0 ||
	    state >= NFE_XEN_STATES)
		return NFE_XEN_UNKNOWN;
	return state;
}

int
xb_set_state(struct xen_bus *xb, enum nfe_xen_state state)
{
	int rc = xenio_write(xb->x, XENIO_NO_TX, xb->front, NFE_XEN_KEY_STATE, "%u", state);

	return rc < 0 ? xb_fail(xb, rc, "writing %s/" NFE_XEN_KEY_STATE ": %s", xb->front,
				strerror(-rc)) : 0;
}

/* The pump wakes us when the state changed; it is read here, so that no change can be missed. */
int
xb_wait_backend(struct xen_bus *xb, uint32_t states, unsigned int timeout_ms, uint32_t *state)
{
	uint64_t deadline_ms = xb_now_ms() + timeout_ms;
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ms / 1000),
		.tv_nsec = (long)(deadline_ms % 1000) * 1000000,
	};
	int rc = 0;

	for (;;) {
		uint32_t changes;

		pthread_mutex_lock(&xb->lock);
		changes = xb->changes;
		pthread_mutex_unlock(&xb->lock);
		*state = xb_backend_state(xb);
		if ((states & (1u << *state)) != 0)
			return 0;
		if (rc != 0)
			return -ETIMEDOUT;
		pthread_mutex_lock(&xb->lock);
		while (xb->changes == changes && rc == 0)
			rc = pthread_cond_clockwait(&xb->changed, &xb->lock, CLOCK_MONOTONIC,
						    &deadline);
		pthread_mutex_unlock(&xb->lock);
	}
}

/* Where the toolstack put the back end; watched from now on. */
int
xb_find_backend(struct xen_bus *xb)
{
	char back[XENIO_PATH_MAX], path[XENIO_PATH_MAX + 8];
	uint32_t id;
	int rc = xb_find_self(xb);

	if (rc < 0)
		return rc;
	rc = xenio_read_u32(xb->x, xb->front, NFE_XEN_KEY_BACKEND_ID, &id);
	if (rc == 0)
		rc = xenio_read(xb->x, xb->front, NFE_XEN_KEY_BACKEND, back, sizeof(back));
	if (rc < 0)
		return xb_fail(xb, rc, "no device %s: made in dom0 by \"vif-ctl xen attach\"",
			       xb->front);
	if (id > XENIO_DOMID_MAX || back[0] != '/')
		return xb_fail(xb, -EPROTO, "back end \"%.60s\" in domain %u", back, id);
	if (xb->nb_pieces > 0 && !xb->stale && id != xb->backend_id)
		return xb_fail(xb, -EPROTO, "back end moved from domain %u to %u: memory is granted "
			       "to the first", xb->backend_id, id);
	xb->backend_id = (uint16_t)id;
	if (strcmp(back, xb->back) == 0)
		return 0;
	if (xb->back[0] != '\0')
		return xb_fail(xb, -EPROTO, "back end moved from %.60s to %.60s", xb->back, back);
	snprintf(path, sizeof(path), "%s/" NFE_XEN_KEY_STATE, back);
	rc = xb->x->ops->watch(xb->x, path, XB_WATCH_TOKEN);
	if (rc == 0)
		memcpy(xb->back, back, sizeof(back));
	return rc;
}

void
xb_succeed(struct xen_bus *xb)
{
	uint32_t back = xb_backend_state(xb);

	if (back != NFE_XEN_CONNECTED && back != NFE_XEN_CLOSING)
		return;
	if (xb_pump_start(xb) < 0 || xb_set_state(xb, NFE_XEN_INITIALISING) < 0)
		return; /* the connect to come says why */
	xb->state = NFE_XEN_INITIALISING;
	(void)xb_wait_backend(xb, ~(XB_STATE(CONNECTED) | XB_STATE(CLOSING)), XB_SUCCEED_MS, &back);
	xb->bus.why[0] = '\0';
}

int
xb_read_registers(struct xen_bus *xb)
{
	uint32_t version;
	int rc = xenio_read_u32(xb->x, xb->back, NFE_XEN_KEY_VERSION, &version);

	if (rc == 0 && version != NFE_XEN_VERSION)
		return xb_fail(xb, -EPROTO, "back end speaks protocol version %u, we %u", version,
			       NFE_XEN_VERSION);
	for (unsigned int i = 0; i < NB_DEVICE_REGS && rc == 0; i++)
		rc = xenio_read_u32(xb->x, xb->back, device_regs[i].key,
				    &xb->reg[device_regs[i].reg / 8]);
	if (rc < 0)
		return xb_fail(xb, -EPROTO, "registers of %s: %s", xb->back, strerror(-rc));
	if (xenio_read_u32(xb->x, xb->back, NFE_XEN_KEY_MAX_FOREIGN, &xb->max_foreign) < 0)
		xb->max_foreign = 0; /* an older one */
	return 0;
}

static int
publish_tx(struct xenio *x, xenio_tx tx, void *arg)
{
	struct xen_bus *xb = arg;
	const struct {
		const char *key;
		uint32_t value;
	} keys[] = {
		{ NFE_XEN_KEY_VERSION, NFE_XEN_VERSION },
		{ NFE_XEN_KEY_INDEX_REF, xb->index_ref },
		{ NFE_XEN_KEY_NR_PAGES, xb->nr_pages },
		{ NFE_XEN_KEY_DOORBELL_PAGE, xb->doorbell_page },
		{ NFE_XEN_KEY_EVENT_CHANNEL, (uint32_t)xb->port },
		{ NFE_XEN_KEY_LIFE_REF, xb->life_ref },
	};
	int rc = 0;

	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]) && rc == 0; i++)
		rc = xenio_write(x, tx, xb->front, keys[i].key, "%u", keys[i].value);
	for (unsigned int i = 0; i < NB_HOST_REGS && rc == 0; i++)
		rc = xenio_write(x, tx, xb->front, host_regs[i].key, "0x%x",
				 xb->reg[host_regs[i].reg / 8]);
	return rc == 0 ? xenio_write(x, tx, xb->front, NFE_XEN_KEY_STATE, "%u",
				     NFE_XEN_INITIALISED) : rc;
}

static int
go(struct xen_bus *xb)
{
	int rc;

	if (xb->state != NFE_XEN_INITIALISING)
		return -EBUSY; /* RESET first */
	nfe_xen_alive_set(xb->index, 0);
	rc = xenio_transact(xb->x, publish_tx, xb);
	if (rc < 0)
		return xb_fail(xb, rc, "writing the keys of %s: %s", xb->front, strerror(-rc));
	xb->state = NFE_XEN_INITIALISED;
	return 0;
}

/* The back end's InitWait was not for us: it had not yet seen that those before us were Closed. */
static int
go_again(struct xen_bus *xb)
{
	uint32_t state = NFE_XEN_UNKNOWN;
	int rc = xb_set_state(xb, NFE_XEN_INITIALISING);

	xb->state = NFE_XEN_INITIALISING;
	if (rc == 0)
		rc = xb_wait_backend(xb, XB_STATE(INIT_WAIT), XB_ANSWER_MS, &state);
	if (rc == -ETIMEDOUT)
		xb_fail(xb, rc, "%s is in state %u after %u ms", xb->back, state, XB_ANSWER_MS);
	return rc == 0 ? go(xb) : rc;
}

/* On return the device uses our memory no more, and can be given it again. */
static int
reset(struct xen_bus *xb)
{
	const uint32_t let_go = XB_STATE(CLOSED) | XB_STATE(INIT_WAIT);
	uint32_t state;
	int rc;

	if (xb->state == NFE_XEN_INITIALISING)
		return 0;
	xb_expect(xb, XB_ANY_STATE, false);
	rc = xb_set_state(xb, NFE_XEN_CLOSING);
	xb->state = NFE_XEN_CLOSING;
	if (rc == 0)
		rc = xb_wait_backend(xb, let_go, XB_ANSWER_MS, &state);
	if (rc == 0)
		rc = xb_set_state(xb, NFE_XEN_INITIALISING);
	if (rc == 0)
		rc = xb_wait_backend(xb, XB_STATE(INIT_WAIT), XB_ANSWER_MS, &state);
	if (rc < 0)
		return rc;
	xb->state = NFE_XEN_INITIALISING;
	xb_expect(xb, XB_CONNECTING, false);
	return 0;
}

/* The back end is Connected and we see it for the first time. */
static int
connected(struct xen_bus *xb)
{
	int rc = xenio_read_u32(xb->x, xb->back, NFE_XEN_KEY_GENERATION,
				&xb->reg[NFE_REG_GENERATION / 8]);

	if (rc < 0)
		return rc;
	xb->state = NFE_XEN_CONNECTED;
	xb->was_connected = true;
	xb_expect(xb, XB_STATE(CONNECTED), true);
	/* Killed between two looks: its notification came when nobody expected it. */
	if (nfe_xen_alive(xb->index) == 0)
		xb_hang_up(xb);
	return xb_set_state(xb, NFE_XEN_CONNECTED);
}

static uint32_t
failed(struct xen_bus *xb)
{
	char error[XENIO_VALUE_MAX] = "";
	uint32_t reason = 0;

	(void)xenio_read_u32(xb->x, xb->back, NFE_XEN_KEY_REASON, &reason);
	(void)xenio_read(xb->x, xb->back, NFE_XEN_KEY_ERROR, error, sizeof(error));
	xb_fail(xb, -EIO, "%.150s", error);
	/* Migrated to a host where our number is the same. */
	if (reason == NFE_REASON_BOOT_MEMORY && xb->was_connected)
		xb->stale = true;
	return NFE_STATE_FAILED | (reason & 0xffff) << 16;
}

static int
status(struct xen_bus *xb, uint32_t *value)
{
	const uint32_t answers = XB_STATE(CONNECTED) | XB_STATE(CLOSING) | XB_STATE(CLOSED);
	uint32_t link = 0, back;
	int rc = 0;

	*value = xb->state == NFE_XEN_INITIALISED ? NFE_STATE_BOOTING : NFE_STATE_RESET;
	/* After GO this is asked every millisecond: that is not passed on to xenstored. */
	if (xb->state != NFE_XEN_INITIALISED ||
	    xb_wait_backend(xb, answers, XB_LOOK_MS, &back) < 0)
		back = xb_backend_state(xb);
	switch (back) {
	case NFE_XEN_CONNECTED:
		if (xb->state == NFE_XEN_INITIALISED)
			rc = connected(xb);
		(void)xenio_read_u32(xb->x, xb->back, NFE_XEN_KEY_LINK, &link);
		*value = NFE_STATE_READY | (link == 1 ? NFE_STATUS_LINK : 0);
		break;
	case NFE_XEN_CLOSING:
		*value = failed(xb);
		break;
	case NFE_XEN_CLOSED:
		if (xb->state == NFE_XEN_INITIALISED)
			rc = go_again(xb);
		break;
	default:
		break;
	}
	return rc;
}

int
xb_reg_read(struct nfe_bus *bus, uint32_t reg, uint32_t *value)
{
	struct xen_bus *xb = xb_of(bus);

	if (xb->hup_fd < 0)
		return -ENOTCONN;
	if (reg == NFE_REG_STATUS)
		return status(xb, value);
	*value = reg < NFE_REG_END ? xb->reg[reg / 8] : 0;
	return 0;
}

int
xb_reg_write(struct nfe_bus *bus, uint32_t reg, uint32_t value)
{
	struct xen_bus *xb = xb_of(bus);

	if (xb->hup_fd < 0)
		return -ENOTCONN;
	if (reg == NFE_REG_COMMAND && value == NFE_CMD_RESET)
		return reset(xb);
	if (reg == NFE_REG_COMMAND)
		return value == NFE_CMD_GO ? go(xb) : -EOPNOTSUPP;
	for (unsigned int i = 0; i < NB_HOST_REGS; i++)
		if (host_regs[i].reg == reg)
			xb->reg[reg / 8] = value; /* told at GO */
	return 0;
}
