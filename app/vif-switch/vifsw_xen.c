/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * VIFs with "xen": their functions are attached by lib/nfe_device's Xen back end instead of a
 * socket. Xen is opened only if the configuration has such a VIF. Control thread.
 */
#include <errno.h>
#include <string.h>

#include <xenio.h>

#include "vifsw.h"

static void
log_line(const char *line)
{
	vifsw_log("%s", line);
}

/* With the first VIF that needs it. */
static int
open_xen(struct vifsw *s)
{
	struct nfed_xen_conf conf = { .loop = s->loop, .log = log_line };
	int rc;

	if (s->xen != NULL)
		return 0;
	rc = xenio_open_privileged(&conf.x);
	if (rc != 0) {
		vifsw_log_error("xen: %s", xenio_open_error(rc));
		return rc;
	}
	rc = nfed_xen_create(&conf, &s->xen);
	if (rc != 0)
		vifsw_log_error("xen: watches cannot be set: %s", strerror(-rc));
	return rc;
}

int
vifsw_xen_attach(struct vifsw *s, struct vifsw_guest *guest,
		 const struct nfed_function_conf *function,
		 void (*attached)(void *owner, bool attached, const char *why))
{
	struct nfed_xen_vif_conf c = {
		.name = guest->conf->port.name,
		.any = guest->conf->xen == VIFSW_XEN_ANY,
		.domid = (uint16_t)guest->conf->xen_domid,
		.number = guest->conf->xen_number,
		.foreign = guest->conf->foreign,
		.function = *function,
		.attached = attached,
	};
	int rc = open_xen(s);

	if (rc != 0)
		return rc;
	rc = nfed_xen_vif_create(s->xen, &c, &guest->xen);
	if (rc != 0) {
		vifsw_log_error("vif %s: xen: %s", c.name, strerror(-rc));
		return rc;
	}
	vsw_vif_bind(guest->port, nfed_xen_vif_function(guest->xen),
		     nfed_xen_vif_data_kick_fd(guest->xen));
	return 0;
}

void
vifsw_xen_close(struct vifsw *s)
{
	nfed_xen_destroy(s->xen);
	s->xen = NULL;
}

void
vifsw_xen_tick(struct vifsw *s)
{
	if (s->xen != NULL)
		nfed_xen_tick(s->xen);
}

json_t *
vifsw_xen_show(const struct vifsw_guest *guest)
{
	const struct nfed_xen_counters *c = nfed_xen_vif_counters(guest->xen);
	json_t *object = json_object();
	uint16_t domid;
	uint32_t number;

	if (nfed_xen_vif_device(guest->xen, &domid, &number)) {
		json_object_set_new(object, "domid", json_integer(domid));
		json_object_set_new(object, "device", json_integer(number));
	}
	json_object_set_new(object, "xenbus_state",
			    json_string(nfe_xen_state_name(nfed_xen_vif_state(guest->xen))));
	json_object_set_new(object, "foreign_pages",
			    json_integer(nfed_xen_vif_foreign_pages(guest->xen)));
#define PUT_COUNTER(name, help) \
	json_object_set_new(object, #name, json_integer((json_int_t)c->name));
	NFED_XEN_COUNTERS(PUT_COUNTER)
#undef PUT_COUNTER
	return object;
}
