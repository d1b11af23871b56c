/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the telemetry commands answer. Runs on the control thread; the caller owns the tree.
 *
 * DPDK sends at most 16 KiB and drops what is beyond. So each list is a page: it starts at entry
 * FIRST and ends before that limit; who wants all asks again with FIRST = entries received so far,
 * until an empty list comes. DPDK 22.11 knows no array of objects: such a list is an object whose
 * keys are the entries' numbers.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nfed_dma.h>
#include <rte_version.h>

#include "vifsw.h"

#define PAGE_BYTES 15000  /* of JSON; DPDK's limit is 16384 with the command's name */
#define PAGE_ENTRIES 256  /* RTE_TEL_MAX_DICT_ENTRIES; of an array 512 */
#define KEY_BYTES 12      /* "65535": */

struct page {
	json_t *list; /* an array, or an object by number */
	unsigned long first, seen, entries;
	size_t bytes;
	bool full;
};

struct params { /* "NAME", "FIRST" or "NAME,FIRST" */
	char name[VSW_NAME_LEN + 1]; /* one too long is an unknown one */
	unsigned long first;
};

json_t *
vifsw_show_error(const char *format, ...)
{
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return json_pack("{s:s}", "error", text);
}

static void
put_u64(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void
put_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text));
}

static void
put_mac(json_t *object, const char *key, const struct rte_ether_addr *mac)
{
	char text[VIFSW_MAC_TEXT];

	vifsw_mac_format(mac, text);
	put_text(object, key, text);
}

/* The next entry is not on this page: it need not be built. */
static bool
page_skips(struct page *page)
{
	if (!page->full && page->seen >= page->first)
		return false;
	page->seen++;
	return true;
}

/* Takes the entry. */
static void
page_add(struct page *page, json_t *entry)
{
	size_t bytes = json_dumpb(entry, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) + KEY_BYTES;
	unsigned long number = page->seen++;
	char key[24];

	page->full = page->full || page->bytes + bytes > PAGE_BYTES ||
		     page->entries == PAGE_ENTRIES;
	if (page->full || number < page->first) {
		json_decref(entry);
		return;
	}
	page->bytes += bytes;
	page->entries++;
	if (json_is_array(page->list)) {
		json_array_append_new(page->list, entry);
		return;
	}
	snprintf(key, sizeof(key), "%lu", number);
	json_object_set_new(page->list, key, entry);
}

static bool
parse_first(const char *text, unsigned long *first)
{
	char *end;

	*first = 0;
	if (text[0] == '\0')
		return true;
	*first = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static void
parse_name(const char *text, struct params *params)
{
	size_t len = strcspn(text, ",");

	memset(params, 0, sizeof(*params));
	memcpy(params->name, text, len < VSW_NAME_LEN ? len : VSW_NAME_LEN);
	parse_first(text[len] == ',' ? text + len + 1 : "", &params->first);
}

/* --- Ports --- */

static void
put_stats(json_t *object, const uint64_t value[NFE_STAT_MAX])
{
#define PUT_STAT(name, help) put_u64(object, #name, value[NFE_STAT_##name]);
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
	struct page page = { .list = json_array() };

	if (!parse_first(text, &page.first))
		return vifsw_show_error("FIRST is a number");
	for (struct vsw_port *p = vsw_port_next(s->sw, NULL); p != NULL; p = vsw_port_next(s->sw, p))
		if (vsw_port_is_uplink(p) == uplinks)
			page_add(&page, json_string(vsw_port_name(p)));
	return page.list;
}

static json_t *
port_stats(struct vifsw *s, const char *text, bool uplink)
{
	uint64_t value[NFE_STAT_MAX];
	struct vsw_port *port;
	struct params params;
	json_t *object;
	int rc;

	parse_name(text, &params);
	port = find_port(s, params.name, uplink);
	if (port == NULL)
		return no_port(params.name, uplink);
	rc = vsw_port_stats(port, value);
	if (rc < 0)
		return vifsw_show_error("%s: counters cannot be read: %s", params.name, strerror(-rc));
	object = json_object();
	put_stats(object, value);
	return object;
}

static json_t *
show_vif_list(struct vifsw *s, const char *params)
{
	return list_ports(s, params, false);
}

static json_t *
show_vif_stats(struct vifsw *s, const char *params)
{
	return port_stats(s, params, false);
}

static json_t *
show_uplink_list(struct vifsw *s, const char *params)
{
	return list_ports(s, params, true);
}

static json_t *
show_uplink_stats(struct vifsw *s, const char *params)
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
	put_text(object, "name", vsw_port_name(port));
	put_mac(object, "mac", &mac);
	put_u64(object, "link", vsw_port_link(port));
	if (fn == NULL || guest == NULL)
		return;
	put_u64(object, "attached", guest->att != NULL ? nfed_vfio_user_connected(guest->att) :
							 nfed_xen_vif_connected(guest->xen));
	put_text(object, "state", nfe_state_name(nfed_function_state(fn)));
	put_text(object, "reason", nfe_reason_name(nfed_function_reason(fn)));
}

static json_t *
vif_refusals(const struct nfed_function *fn)
{
	const struct nfed_counters *c = nfed_function_counters(fn);
	json_t *object = json_object();

#define PUT_COUNTER(name, help) put_u64(object, #name, c->name);
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
	put_u64(object, "connections", c.connections);
	put_u64(object, "refused_busy", c.refused_busy);
	put_u64(object, "refused_version", c.refused_version);
	put_u64(object, "messages", c.messages);
	put_u64(object, "errors_sent", c.errors_sent);
	put_u64(object, "bad_header", c.bad_header);
	put_u64(object, "bad_size", c.bad_size);
	put_u64(object, "bad_fds", c.bad_fds);
	put_u64(object, "bad_order", c.bad_order);
	put_u64(object, "bad_command", c.bad_command);
	put_u64(object, "bad_range", c.bad_range);
	put_u64(object, "bad_json", c.bad_json);
	put_u64(object, "replies_waited", c.replies_waited);
	put_u64(object, "dropped_unread", c.dropped_unread);
	return object;
}

static json_t *
show_vif_info(struct vifsw *s, const char *text)
{
	const struct nfed_region_table *regions;
	const struct vifsw_guest *guest;
	struct vsw_port *port;
	struct params params;
	json_t *object;

	parse_name(text, &params);
	port = find_port(s, params.name, false);
	guest = vifsw_guest_find(s, params.name);
	if (port == NULL || guest == NULL)
		return no_port(params.name, false);
	object = json_object();
	put_identity(object, s, port);
	put_text(object, "reason_text", nfed_function_reason_text(vsw_port_function(port)));
	put_text(object, "socket", guest->conf->socket);
	put_u64(object, "mtu", vsw_port_mtu(port));
	put_u64(object, "max_mtu", guest->conf->port.max_mtu);
	put_u64(object, "rx_mode", vsw_port_rx_mode(port));
	put_u64(object, "rate_mbps", guest->conf->port.rate_mbps);
	put_u64(object, "rss_types", vsw_port_rss_types(port));
	put_u64(object, "vlans", vsw_port_vlans(port));
	put_u64(object, "max_queues", nfed_function_limits(vsw_port_function(port))->max_channels);
	regions = nfed_function_regions(vsw_port_function(port));
	put_u64(object, "regions", regions->nb_regions);
	put_u64(object, "max_regions", regions->limits.max_regions);
	put_u64(object, "bytes", regions->bytes);
	put_u64(object, "max_bytes", regions->limits.max_bytes);
	put_u64(object, "mappings", regions->mappings);
	json_object_set_new(object, "control", vif_refusals(vsw_port_function(port)));
	if (guest->att != NULL)
		json_object_set_new(object, "vfio_user", vif_protocol(guest));
	else
		json_object_set_new(object, "xen", vifsw_xen_show(guest));
	return object;
}

static json_t *
show_uplink_info(struct vifsw *s, const char *text)
{
	const struct vifsw_config *config = s->config;
	struct vsw_port *port;
	struct params params;
	bool sums, cuts;
	json_t *object;

	parse_name(text, &params);
	port = find_port(s, params.name, true);
	if (port == NULL)
		return no_port(params.name, true);
	object = json_object();
	put_identity(object, s, port);
	put_u64(object, "mtu", vsw_port_mtu(port));
	vsw_uplink_offloads(port, &sums, &cuts);
	put_u64(object, "tx_checksums", sums);
	put_u64(object, "tso", cuts);
	for (unsigned int i = 0; i < config->nb_uplinks; i++) {
		if (strcmp(config->uplinks[i].name, params.name) != 0)
			continue;
		put_text(object, "port", config->uplinks[i].ethdev);
		put_u64(object, "learning", config->uplinks[i].learning);
	}
	return object;
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

static json_t *
show_vif_stats_all(struct vifsw *s, const char *text)
{
	struct page page = { .list = NULL };
	struct snapshot snap;
	unsigned int i = 0;
	json_t *error;

	if (!parse_first(text, &page.first))
		return vifsw_show_error("FIRST is a number");
	if (!take_snapshot(s, &snap, &error))
		return error;
	page.list = json_object();
	for (struct vsw_port *p = vsw_port_next(s->sw, NULL); p != NULL && i < snap.n && !page.full;
	     p = vsw_port_next(s->sw, p), i++) {
		json_t *entry;

		if (vsw_port_is_uplink(p) || page_skips(&page))
			continue;
		entry = json_object();
		put_identity(entry, s, p);
		put_stats(entry, snap.value[i]);
		page_add(&page, entry);
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
static json_t *
show_switch_stats(struct vifsw *s, const char *text)
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
	put_u64(object, "ports", snap.n);
	put_stats(object, sum);
	put_u64(object, "from_drop", from_drop);
	put_u64(object, "to_drop", to_drop);
	put_u64(object, "from_adds_up", sum[NFE_STAT_from_frames] ==
		sum[NFE_STAT_from_unicast] + sum[NFE_STAT_from_flooded] + from_drop);
	put_u64(object, "to_adds_up",
		sum[NFE_STAT_to_offered] == sum[NFE_STAT_to_frames] + to_drop);
	put_u64(object, "offered_adds_up", sum[NFE_STAT_to_offered] ==
		sum[NFE_STAT_from_unicast] + sum[NFE_STAT_from_copies]);
	free(snap.value);
	return object;
}

/* --- Queues, FDB, lcores --- */

static json_t *
queue_entry(const struct vsw_queue_info *q)
{
	json_t *o = json_object();

	put_u64(o, "channel", q->channel);
	put_u64(o, "lcore", q->lcore);
	put_text(o, "state", q->state);
#define PUT_QUEUE(role)                                     \
	put_u64(o, #role "_size", q->role.size);            \
	put_u64(o, #role "_capacity", q->role.capacity);    \
	put_u64(o, #role "_host", q->role.host_idx);        \
	put_u64(o, #role "_device", q->role.dev_idx);       \
	put_u64(o, #role "_distance", q->role.distance)
	PUT_QUEUE(sq);
	PUT_QUEUE(rq);
	PUT_QUEUE(fq);
#undef PUT_QUEUE
	return o;
}

static json_t *
show_vif_queues(struct vifsw *s, const char *text)
{
	struct vsw_queue_info info[NFED_MAX_CHANNELS];
	struct page page = { .list = NULL };
	struct vsw_port *port;
	struct params params;
	int n;

	parse_name(text, &params);
	port = find_port(s, params.name, false);
	if (port == NULL)
		return no_port(params.name, false);
	n = vsw_port_queues(port, info, NFED_MAX_CHANNELS);
	if (n < 0)
		return vifsw_show_error("%s: queues cannot be read: %s", params.name, strerror(-n));
	page.list = json_object();
	page.first = params.first;
	for (int i = 0; i < n; i++)
		page_add(&page, queue_entry(&info[i]));
	return page.list;
}

static void
add_fdb_entry(const struct vsw_fdb_info *info, void *ctx)
{
	struct page *page = ctx;
	json_t *o;

	if (page_skips(page)) /* there may be 65536 */
		return;
	o = json_object();
	put_mac(o, "mac", &info->mac);
	put_text(o, "port", info->port);
	put_u64(o, "learned", info->learned);
	put_u64(o, "age_s", info->age_s);
	page_add(page, o);
}

static json_t *
show_fdb_list(struct vifsw *s, const char *text)
{
	struct page page = { .list = NULL };

	if (!parse_first(text, &page.first))
		return vifsw_show_error("FIRST is a number");
	page.list = json_object();
	vsw_fdb_walk(s->sw, add_fdb_entry, &page);
	return page.list;
}

static json_t *
show_switch_lcores(struct vifsw *s, const char *text)
{
	struct vsw_lcore_info info[VSW_MAX_LCORES];
	int n = vsw_lcores(s->sw, info, VSW_MAX_LCORES);
	struct page page = { .list = NULL };

	(void)text;
	if (n < 0)
		return vifsw_show_error("lcores cannot be read: %s", strerror(-n));
	page.list = json_object();
	for (int i = 0; i < n; i++) {
		json_t *o = json_object();

		put_u64(o, "lcore", info[i].lcore);
		put_u64(o, "channels", info[i].channels);
		put_u64(o, "hot", info[i].hot);
		put_u64(o, "loops", info[i].loops);
		put_u64(o, "busy_cycles", info[i].busy_cycles);
		put_u64(o, "idle_cycles", info[i].idle_cycles);
		put_u64(o, "sleeps", info[i].sleeps);
		put_u64(o, "wakes", info[i].wakes);
		put_u64(o, "kick_storms", info[i].kick_storms);
		page_add(&page, o);
	}
	return page.list;
}

static void
ignore_fdb_entry(const struct vsw_fdb_info *info, void *ctx)
{
	(void)info;
	(void)ctx;
}

static json_t *
show_switch_info(struct vifsw *s, const char *text)
{
	json_t *o = json_object();
	char abi[32];

	(void)text;
	snprintf(abi, sizeof(abi), "%u.%u", NFE_ABI_MAJOR, NFE_ABI_MINOR);
	put_text(o, "version", NFE_VERSION);
	put_text(o, "abi", abi);
	put_text(o, "dpdk", rte_version());
	put_u64(o, "pid", (uint64_t)getpid());
	put_u64(o, "uptime_s", (vifsw_now_ms() - s->start_ms) / 1000);
	put_text(o, "socket_dir", s->config->socket_dir);
	put_u64(o, "vifs", s->nb_guests);
	put_u64(o, "max_vifs", s->config->max_vifs);
	put_u64(o, "attached", s->nb_attached);
	put_u64(o, "uplinks", s->config->nb_uplinks);
	put_u64(o, "lcores", s->nb_lcores);
	put_u64(o, "fdb_entries", (uint64_t)vsw_fdb_walk(s->sw, ignore_fdb_entry, NULL));
	put_u64(o, "memory_faults", nfed_guard_faults());
	return o;
}

/* --- The commands --- */

static const struct vifsw_show shows[] = {
	{ "/vif/list", "Names of the VIFs. Parameters: [FIRST]", show_vif_list },
	{ "/vif/info", "Identity, state, memory and refusals of a VIF. Parameters: NAME",
	  show_vif_info },
	{ "/vif/stats", "Counters of a VIF. Parameters: NAME", show_vif_stats },
	{ "/vif/all", "State and counters of all VIFs. Parameters: [FIRST]",
	  show_vif_stats_all },
	{ "/vif/queues", "Indices of a VIF's running queues. Parameters: NAME[,FIRST]",
	  show_vif_queues },
	{ "/fdb/list", "Addresses and their ports. Parameters: [FIRST]", show_fdb_list },
	{ "/uplink/list", "Names of the uplinks. Parameters: [FIRST]", show_uplink_list },
	{ "/uplink/info", "Device and link of an uplink. Parameters: NAME", show_uplink_info },
	{ "/uplink/stats", "Counters of an uplink. Parameters: NAME", show_uplink_stats },
	{ "/switch/stats", "Sums over all ports and whether they add up. No parameters",
	  show_switch_stats },
	{ "/switch/lcores", "Data lcores and their load. No parameters", show_switch_lcores },
	{ "/switch/info", "Version, uptime, limits. No parameters", show_switch_info },
};

const struct vifsw_show *
vifsw_show(unsigned int i)
{
	return i < sizeof(shows) / sizeof(shows[0]) ? &shows[i] : NULL;
}
