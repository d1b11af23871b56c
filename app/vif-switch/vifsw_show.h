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
#ifndef VIFSW_SHOW_H
#define VIFSW_SHOW_H

#include "vifsw.h"

struct vifsw_page {
	json_t *list; /* an array, or an object by number */
	unsigned long first, seen, entries;
	size_t bytes;
	bool full;
};

struct vifsw_params { /* "NAME", "FIRST" or "NAME,FIRST" */
	char name[VSW_NAME_LEN + 1]; /* one too long is an unknown one */
	unsigned long first;
};

/* vifsw_show.c */
void vifsw_put_u64(json_t *object, const char *key, uint64_t value);
void vifsw_put_text(json_t *object, const char *key, const char *text);
void vifsw_put_mac(json_t *object, const char *key, const struct rte_ether_addr *mac);
/* The next entry is not on this page: it need not be built. */
bool vifsw_page_skips(struct vifsw_page *page);
void vifsw_page_add(struct vifsw_page *page, json_t *entry); /* takes the entry */
bool vifsw_parse_first(const char *text, unsigned long *first); /* "": 0 */
void vifsw_parse_name(const char *text, struct vifsw_params *params);

/* vifsw_show_port.c */
json_t *vifsw_show_vif_list(struct vifsw *s, const char *text);
json_t *vifsw_show_vif_info(struct vifsw *s, const char *text);
json_t *vifsw_show_vif_stats(struct vifsw *s, const char *text);
json_t *vifsw_show_vif_stats_all(struct vifsw *s, const char *text);
json_t *vifsw_show_vif_queues(struct vifsw *s, const char *text);
json_t *vifsw_show_uplink_list(struct vifsw *s, const char *text);
json_t *vifsw_show_uplink_info(struct vifsw *s, const char *text);
json_t *vifsw_show_uplink_stats(struct vifsw *s, const char *text);
json_t *vifsw_show_switch_stats(struct vifsw *s, const char *text);

#endif /* VIFSW_SHOW_H */
