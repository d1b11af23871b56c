/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the telemetry commands about VIFs and uplinks answer, see vifsw_show.h. Control thread.
 */
#include <stdlib.h>
#include <string.h>

#include "vifsw_show.h"

static void
put_stats(json_t *object, const uint64_t value[NFE_STAT_MAX])
{
#define PUT_STAT(name, help) vifsw_put_u64(object, #name, value[NFE_STAT_##name]);
	NFE_STATS(PUT_STAT)
#undef PUT_STAT
}

static struct vsw_port *
find_port(struct vifsw *s, const char *name, bool uplink)
{
	struct vsw_port *port = vsw_port_find(s->sw, name);

	return port != NULL && vsw_port_is_uplink(port) == uplink ? port : NULL;
}

static json_t *
no_port(const char *name, bool uplink)
{
	const char *what = uplink ? "uplink" : "VIF";

	if (name[0] == '\0')
		return vifsw_show_error("name of the %s missing", what);
	return vifsw_show_error("no %s named %s", what, name);
}

static json_t *
list_ports(struct vifsw *s, const char *text, bool uplinks)
{
	struct vifsw_page page = { .list = json_array() };

	if (!vifsw_parse_first(text, &page.first))
		return vifsw_show_error("FIRST is a number");
	for (struct vsw_port *p = vsw_port_next(s->sw, NULL); p != NULL;
	     p = vsw_port_next(s->sw, p))
		if (vsw_port_is_uplink(p) == uplinks)
			vifsw_page_add(&page, json_string(vsw_port_name(p)));
	return page.list;
}

static json_t *
port_stats(struct vifsw *s, const char *text, bool uplink)
{
	uint64_t value[NFE_STAT_MAX];
	struct vsw_port *port;
	struct vifsw_params params;
	json_t *object;
	int rc;

	vifsw_parse_name(text, &params);
	port = find_port(s, params.name, uplink);
	if (port == NULL)
		return no_port(params.name, uplink);
	rc = vsw_port_stats(port, value);
	if (rc < 0)
		return vifsw_show_error("%s: counters cannot be read: %s", params.name,
					strerror(-rc));
	object = json_object();
	put_stats(object, value);
	return object;
}

json_t *
vifsw_show_vif_list(struct vifsw *s, const char *params)
{
	return list_ports(s, params, false);
}

json_t *
vifsw_show_vif_stats(struct vifsw *s, const char *params)
{
	return port_stats(s, params, false);
}

json_t *
vifsw_show_uplink_list(struct vifsw *s, const char *params)
{
	return list_ports(s, params, true);
}

json_t *
vifsw_show_uplink_stats(struct vifsw *s, const char *params)
{
	return port_stats(s, params, true);
}

static void
put_identity(json_t *object, struct vifsw *s, const struct vsw_port *port)
{
	const struct nfed_function *fn = vsw_port_function(port);
	const struct vifsw_guest *guest = vifsw_guest_find(s, vsw_port_name(port));
	struct rte_ether_addr mac;

	vsw_port_mac(port, &mac);
	vifsw_put_text(object, "name", vsw_port_name(port));
	vifsw_put_mac(object, "mac", &mac);
	vifsw_put_u64(object, "link", vsw_port_link(port));
	if (fn == NULL || guest == NULL)
		return;
	vifsw_put_u64(object, "attached",
		      guest->att != NULL ? nfed_vfio_user_connected(guest->att) :
					   nfed_xen_vif_connected(guest->xen));
	vifsw_put_text(object, "state", nfe_state_name(nfed_function_state(fn)));
	vifsw_put_text(object, "reason", nfe_reason_name(nfed_function_reason(fn)));
}

static json_t *
vif_refusals(const struct nfed_function *fn)
{
	const struct nfed_counters *c = nfed_function_counters(fn);
	json_t *object = json_object();

#define PUT_COUNTER(name, help) vifsw_put_u64(object, #name, c->name);
	NFED_COUNTERS(PUT_COUNTER)
#undef PUT_COUNTER
	return object;
}

static json_t *
vif_protocol(const struct vifsw_guest *guest)
{
	struct vfio_user_server_stats c;
	json_t *object = json_object();

	nfed_vfio_user_server_stats(guest->att, &c);
	vifsw_put_u64(object, "connections", c.connections);
	vifsw_put_u64(object, "refused_busy", c.refused_busy);
	vifsw_put_u64(object, "refused_version", c.refused_version);
	vifsw_put_u64(object, "messages", c.messages);
	vifsw_put_u64(object, "errors_sent", c.errors_sent);
	vifsw_put_u64(object, "bad_header", c.bad_header);
	vifsw_put_u64(object, "bad_size", c.bad_size);
	vifsw_put_u64(object, "bad_fds", c.bad_fds);
	vifsw_put_u64(object, "bad_order", c.bad_order);
	vifsw_put_u64(object, "bad_command", c.bad_command);
	vifsw_put_u64(object, "bad_range", c.bad_range);
	vifsw_put_u64(object, "bad_json", c.bad_json);
	vifsw_put_u64(object, "replies_waited", c.replies_waited);
	vifsw_put_u64(object, "dropped_unread", c.dropped_unread);
	vifsw_put_u64(object, "closed_late", c.closed_late);
	return object;
}

json_t *
vifsw_show_vif_info(struct vifsw *s, const char *text)
{
	const struct nfed_region_table *regions;
	const struct vifsw_guest *guest;
	struct vsw_port *port;
	struct vifsw_params params;
	json_t *object;

	vifsw_parse_name(text, &params);
	port = find_port(s, params.name, false);
	guest = vifsw_guest_find(s, params.name);
	if (port == NULL || guest == NULL)
		return no_port(params.name, false);
	object = json_object();
	put_identity(object, s, port);
	vifsw_put_text(object, "reason_text", nfed_function_reason_text(vsw_port_function(port)));
	vifsw_put_text(object, "socket", guest->conf->socket);
	vifsw_put_u64(object, "mtu", vsw_port_mtu(port));
	vifsw_put_u64(object, "max_mtu", guest->conf->port.max_mtu);
	vifsw_put_u64(object, "rx_mode", vsw_port_rx_mode(port));
	vifsw_put_u64(object, "rate_mbps", guest->conf->port.rate_mbps);
	vifsw_put_u64(object, "rss_types", vsw_port_rss_types(port));
	vifsw_put_u64(object, "vlans", vsw_port_vlans(port));
	vifsw_put_u64(object, "max_queues",
		      nfed_function_limits(vsw_port_function(port))->max_channels);
	regions = nfed_function_regions(vsw_port_function(port));
	vifsw_put_u64(object, "regions", regions->nb_regions);
	vifsw_put_u64(object, "max_regions", regions->limits.max_regions);
	vifsw_put_u64(object, "bytes", regions->bytes);
	vifsw_put_u64(object, "max_bytes", regions->limits.max_bytes);
	vifsw_put_u64(object, "mappings", regions->mappings);
	vifsw_put_u64(object, "max_mappings", regions->limits.max_mappings);
	json_object_set_new(object, "control", vif_refusals(vsw_port_function(port)));
	if (guest->att != NULL)
		json_object_set_new(object, "vfio_user", vif_protocol(guest));
	else
		json_object_set_new(object, "xen", vifsw_xen_show(guest));
	return object;
}

json_t *
vifsw_show_uplink_info(struct vifsw *s, const char *text)
{
	const struct vifsw_config *config = s->config;
	struct vsw_port *port;
	struct vifsw_params params;
	bool sums, cuts;
	json_t *object;

	vifsw_parse_name(text, &params);
	port = find_port(s, params.name, true);
	if (port == NULL)
		return no_port(params.name, true);
	object = json_object();
	put_identity(object, s, port);
	vifsw_put_u64(object, "mtu", vsw_port_mtu(port));
	vsw_uplink_offloads(port, &sums, &cuts);
	vifsw_put_u64(object, "tx_checksums", sums);
	vifsw_put_u64(object, "tso", cuts);
	for (unsigned int i = 0; i < config->nb_uplinks; i++) {
		if (strcmp(config->uplinks[i].name, params.name) != 0)
			continue;
		vifsw_put_text(object, "port", config->uplinks[i].ethdev);
		vifsw_put_u64(object, "learning", config->uplinks[i].learning);
	}
	return object;
}

static json_t *
queue_entry(const struct vsw_queue_info *q)
{
	json_t *o = json_object();

	vifsw_put_u64(o, "channel", q->channel);
	vifsw_put_u64(o, "lcore", q->lcore);
	vifsw_put_text(o, "state", q->state);
#define PUT_QUEUE(role)                                     \
	vifsw_put_u64(o, #role "_size", q->role.size);            \
	vifsw_put_u64(o, #role "_capacity", q->role.capacity);    \
	vifsw_put_u64(o, #role "_host", q->role.host_idx);        \
	vifsw_put_u64(o, #role "_device", q->role.dev_idx);       \
	vifsw_put_u64(o, #role "_distance", q->role.distance)
	PUT_QUEUE(sq);
	PUT_QUEUE(rq);
	PUT_QUEUE(fq);
#undef PUT_QUEUE
	return o;
}

json_t *
vifsw_show_vif_queues(struct vifsw *s, const char *text)
{
	struct vsw_queue_info info[NFED_MAX_CHANNELS];
	struct vifsw_page page = { .list = NULL };
	struct vsw_port *port;
	struct vifsw_params params;
	int n;

	vifsw_parse_name(text, &params);
	port = find_port(s, params.name, false);
	if (port == NULL)
		return no_port(params.name, false);
	n = vsw_port_queues(port, info, NFED_MAX_CHANNELS);
	if (n < 0)
		return vifsw_show_error("%s: queues cannot be read: %s", params.name, strerror(-n));
	page.list = json_object();
	page.first = params.first;
	for (int i = 0; i < n; i++)
		vifsw_page_add(&page, queue_entry(&info[i]));
	return page.list;
}

/* --- All ports at one moment --- */

struct snapshot {
	uint64_t (*value)[NFE_STAT_MAX]; /* in the order of the walk */
	unsigned int n;
};

/* False: *error says why, if there is memory for it. */
static bool
take_snapshot(struct vifsw *s, struct snapshot *snap, json_t **error)
{
	unsigned int n = s->config->nb_vifs + s->config->nb_uplinks;
	int rc;

	*snap = (struct snapshot){ .value = calloc(n + 1, sizeof(*snap->value)) };
	if (snap->value == NULL) {
		*error = vifsw_show_error("no memory for the counters of %u ports", n);
		return false;
	}
	rc = vsw_stats(s->sw, snap->value, n);
	if (rc < 0) {
		free(snap->value);
		*error = vifsw_show_error("counters cannot be read: %s", strerror(-rc));
		return false;
	}
	snap->n = (unsigned int)rc;
	return true;
}

json_t *
vifsw_show_vif_stats_all(struct vifsw *s, const char *text)
{
	struct vifsw_page page = { .list = NULL };
	struct snapshot snap;
	unsigned int i = 0;
	json_t *error;

	if (!vifsw_parse_first(text, &page.first))
		return vifsw_show_error("FIRST is a number");
	if (!take_snapshot(s, &snap, &error))
		return error;
	page.list = json_object();
	for (struct vsw_port *p = vsw_port_next(s->sw, NULL); p != NULL && i < snap.n && !page.full;
	     p = vsw_port_next(s->sw, p), i++) {
		json_t *entry;

		if (vsw_port_is_uplink(p) || vifsw_page_skips(&page))
			continue;
		entry = json_object();
		put_identity(entry, s, p);
		put_stats(entry, snap.value[i]);
		vifsw_page_add(&page, entry);
	}
	free(snap.value);
	return page.list;
}

static uint64_t
sum_range(const uint64_t value[NFE_STAT_MAX], enum nfe_stat first, enum nfe_stat last)
{
	uint64_t sum = 0;

	for (unsigned int i = first; i <= (unsigned int)last; i++)
		sum += value[i];
	return sum;
}

/* Identities of specification 9.2, over the sums; since each holds per port, so do these. */
json_t *
vifsw_show_switch_stats(struct vifsw *s, const char *text)
{
	uint64_t sum[NFE_STAT_MAX] = { 0 }, from_drop, to_drop;
	struct snapshot snap;
	json_t *object;

	(void)text;
	if (!take_snapshot(s, &snap, &object))
		return object;
	for (unsigned int i = 0; i < snap.n; i++)
		for (unsigned int j = 0; j < NFE_STAT_MAX; j++)
			sum[j] += snap.value[i][j];
	from_drop = sum_range(sum, NFE_STAT_FROM_DROP_FIRST, NFE_STAT_FROM_DROP_LAST);
	to_drop = sum_range(sum, NFE_STAT_TO_DROP_FIRST, NFE_STAT_TO_DROP_LAST);
	object = json_object();
	vifsw_put_u64(object, "ports", snap.n);
	put_stats(object, sum);
	vifsw_put_u64(object, "from_drop", from_drop);
	vifsw_put_u64(object, "to_drop", to_drop);
	vifsw_put_u64(object, "from_adds_up", sum[NFE_STAT_from_frames] ==
		sum[NFE_STAT_from_unicast] + sum[NFE_STAT_from_flooded] + from_drop);
	vifsw_put_u64(object, "to_adds_up",
		sum[NFE_STAT_to_offered] == sum[NFE_STAT_to_frames] + to_drop);
	vifsw_put_u64(object, "offered_adds_up", sum[NFE_STAT_to_offered] ==
		sum[NFE_STAT_from_unicast] + sum[NFE_STAT_from_copies]);
	free(snap.value);
	return object;
}
