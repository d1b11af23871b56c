/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The telemetry commands and what they have in common, see vifsw_show.h; answers about the switch
 * as a whole. Those about ports are vifsw_show_port.c's. Control thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nfed_dma.h>
#include <rte_version.h>

#include "vifsw_show.h"

#define PAGE_BYTES 15000  /* of JSON; DPDK's limit is 16384 with the command's name */
#define PAGE_ENTRIES 256  /* RTE_TEL_MAX_DICT_ENTRIES; of an array 512 */
#define KEY_BYTES 12      /* "65535": */

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

void
vifsw_put_u64(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

void
vifsw_put_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text));
}

void
vifsw_put_mac(json_t *object, const char *key, const struct rte_ether_addr *mac)
{
	char text[VIFSW_MAC_TEXT];

	vifsw_mac_format(mac, text);
	vifsw_put_text(object, key, text);
}

bool
vifsw_page_skips(struct vifsw_page *page)
{
	if (!page->full && page->seen >= page->first)
		return false;
	page->seen++;
	return true;
}

void
vifsw_page_add(struct vifsw_page *page, json_t *entry)
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

bool
vifsw_parse_first(const char *text, unsigned long *first)
{
	char *end;

	*first = 0;
	if (text[0] == '\0')
		return true;
	*first = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

void
vifsw_parse_name(const char *text, struct vifsw_params *params)
{
	size_t len = strcspn(text, ",");

	memset(params, 0, sizeof(*params));
	memcpy(params->name, text, len < VSW_NAME_LEN ? len : VSW_NAME_LEN);
	vifsw_parse_first(text[len] == ',' ? text + len + 1 : "", &params->first);
}

static void
add_fdb_entry(const struct vsw_fdb_info *info, void *ctx)
{
	struct vifsw_page *page = ctx;
	json_t *o;

	if (vifsw_page_skips(page)) /* there may be 65536 */
		return;
	o = json_object();
	vifsw_put_mac(o, "mac", &info->mac);
	vifsw_put_text(o, "port", info->port);
	vifsw_put_u64(o, "learned", info->learned);
	vifsw_put_u64(o, "age_s", info->age_s);
	vifsw_page_add(page, o);
}

static json_t *
show_fdb_list(struct vifsw *s, const char *text)
{
	struct vifsw_page page = { .list = NULL };

	if (!vifsw_parse_first(text, &page.first))
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
	struct vifsw_page page = { .list = NULL };

	(void)text;
	if (n < 0)
		return vifsw_show_error("lcores cannot be read: %s", strerror(-n));
	page.list = json_object();
	for (int i = 0; i < n; i++) {
		const struct vsw_lcore_counters *c = &info[i].counters;
		json_t *o = json_object();

		vifsw_put_u64(o, "lcore", c->lcore);
		vifsw_put_u64(o, "channels", info[i].channels);
		vifsw_put_u64(o, "hot", info[i].hot);
		vifsw_put_u64(o, "loops", c->loops);
		vifsw_put_u64(o, "busy_cycles", c->busy_cycles);
		vifsw_put_u64(o, "idle_cycles", c->idle_cycles);
		vifsw_put_u64(o, "sleeps", c->sleeps);
		vifsw_put_u64(o, "wakes", c->wakes);
		vifsw_put_u64(o, "kick_storms", c->kick_storms);
		vifsw_put_u64(o, "run_delay_us", c->run_delay_us);
		vifsw_page_add(&page, o);
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
	vifsw_put_text(o, "version", NFE_VERSION);
	vifsw_put_text(o, "abi", abi);
	vifsw_put_text(o, "dpdk", rte_version());
	vifsw_put_u64(o, "pid", (uint64_t)getpid());
	vifsw_put_u64(o, "uptime_s", (vifsw_now_ms() - s->start_ms) / 1000);
	vifsw_put_text(o, "socket_dir", s->config->socket_dir);
	vifsw_put_u64(o, "vifs", s->nb_guests);
	vifsw_put_u64(o, "max_vifs", s->config->max_vifs);
	vifsw_put_u64(o, "attached", s->nb_attached);
	vifsw_put_u64(o, "uplinks", s->config->nb_uplinks);
	vifsw_put_u64(o, "lcores", s->nb_lcores);
	vifsw_put_u64(o, "fdb_entries", (uint64_t)vsw_fdb_walk(s->sw, ignore_fdb_entry, NULL));
	vifsw_put_u64(o, "memory_faults", nfed_guard_faults());
	return o;
}

/* --- The commands --- */

static const struct vifsw_show shows[] = {
	{ "/vif/list", "Names of the VIFs. Parameters: [FIRST]", vifsw_show_vif_list },
	{ "/vif/info", "Identity, state, memory and refusals of a VIF. Parameters: NAME",
	  vifsw_show_vif_info },
	{ "/vif/stats", "Counters of a VIF. Parameters: NAME", vifsw_show_vif_stats },
	{ "/vif/all", "State and counters of all VIFs. Parameters: [FIRST]",
	  vifsw_show_vif_stats_all },
	{ "/vif/queues", "Indices of a VIF's running queues. Parameters: NAME[,FIRST]",
	  vifsw_show_vif_queues },
	{ "/fdb/list", "Addresses and their ports. Parameters: [FIRST]", show_fdb_list },
	{ "/uplink/list", "Names of the uplinks. Parameters: [FIRST]", vifsw_show_uplink_list },
	{ "/uplink/info", "Device and link of an uplink. Parameters: NAME",
	  vifsw_show_uplink_info },
	{ "/uplink/stats", "Counters of an uplink. Parameters: NAME", vifsw_show_uplink_stats },
	{ "/switch/stats", "Sums over all ports and whether they add up. No parameters",
	  vifsw_show_switch_stats },
	{ "/switch/lcores", "Data lcores and their load. No parameters", show_switch_lcores },
	{ "/switch/info", "Version, uptime, limits. No parameters", show_switch_info },
};

const struct vifsw_show *
vifsw_show(unsigned int i)
{
	return i < sizeof(shows) / sizeof(shows[0]) ? &shows[i] : NULL;
}
