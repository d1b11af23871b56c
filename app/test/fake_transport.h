/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * In-process stand-in for everything around a function, for unit tests and fuzzers: a transport
 * whose guest memory is the test's own, an owner that records what it is asked, and a host that
 * boots the function and speaks its control channel. One thread does it all.
 *
 * The fake_guest owns memory, doorbell pages and function. Every error can be injected, everything
 * taken is counted.
 */
#ifndef FAKE_TRANSPORT_H
#define FAKE_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <nfed_function.h>

/* Where the control channel lies in the guest's memory; the test has the rest. */
#define FAKE_IOVA UINT64_C(0x7f0000000000)
#define FAKE_CTRL_SQ 0x0000u
#define FAKE_CTRL_RQ 0x4000u
#define FAKE_CTRL_STATUS 0x8000u
#define FAKE_DATA 0x10000u
#define FAKE_MEM_SIZE 0xd0000u

struct fake_map; /* one live mapping */

struct fake_guest {
	/* transport */
	uint8_t *mem; /* FAKE_MEM_SIZE bytes, page aligned, at FAKE_IOVA for the function */
	int mem_fd;   /* of a memfd, or -1: heap, so that ASan sees what lies beyond */
	uint8_t *db;  /* doorbell pages, channel 0 first */
	uint32_t access;        /* what map() grants */
	int map_error;          /* map() fails with it, once per call, while not 0 */
	unsigned int nb_pieces; /* mmaps that map() claims to use */
	struct fake_map *maps;
	unsigned int live_maps;
	unsigned int interrupts[NFED_MAX_CHANNELS + 1];
	unsigned int kicks[NFED_MAX_CHANNELS + 1]; /* by trigger page */

	/* owner: errors to answer with, what was seen */
	int start_error, mac_error, rx_mode_error, mtu_error, rss_error, vlans_error, stats_error;
	unsigned int running; /* started and not yet stopped */
	unsigned int starts, stops, quiesces, attentions, transitions, stats_calls;
	enum nfe_state from, to; /* of the last transition */
	uint8_t mac[6];
	enum nfe_mac_action mac_action;
	uint32_t rx_mode, mtu;
	unsigned int rx_mode_us; /* that the owner takes for it */
	struct nfe_req_rss_hash rss_hash;
	struct nfe_req_rss_reta rss_reta;
	uint64_t vlans[NFE_VLAN_WORDS];
	bool order_broken; /* unmapped while a channel ran, or without quiescence */
	bool lcores_may_read; /* since the last quiesce() a key was still visible */

	/* host */
	struct nfed_function *fn;
	uint32_t size_log2, sq_prod, rq_cons;
	uint16_t next_id;
	struct nfe_event last_event;
	unsigned int events;
};

/* conf NULL: the default limits with all features, else its limits, features and triggers, and its
 * owner if it names one instead of the one here. 0 or a negative errno. */
int fake_guest_create(struct fake_guest *g, const struct nfed_function_conf *conf);
void fake_guest_destroy(struct fake_guest *g);
/* Before anything is mapped: its memory becomes a file, so that fake_punch() can make holes. */
int fake_guest_use_file(struct fake_guest *g);
void fake_punch(struct fake_guest *g, uint64_t mem_off, uint64_t len);

/* Write the boot block, with both indices starting at first, and GO. Returns the state after it. */
enum nfe_state fake_guest_boot(struct fake_guest *g, uint32_t size_log2, uint32_t first);
uint32_t fake_reg_read(struct fake_guest *g, uint32_t off);
void fake_reg_write(struct fake_guest *g, uint32_t off, uint32_t value);
uint32_t *fake_db(struct fake_guest *g, unsigned int channel, uint32_t off);
struct nfe_status *fake_status(struct fake_guest *g, uint64_t mem_off);

/* Put a request (id is filled in) and publish it; does not run the function. */
void fake_post(struct fake_guest *g, struct nfe_req *req);
/* Take one cell from the control RQ; false if none. Events are counted and kept. */
bool fake_take(struct fake_guest *g, struct nfe_rsp *rsp);
/* post, run, take: the response's status, or -ETIMEDOUT if none came. rsp may be NULL. */
int fake_request(struct fake_guest *g, struct nfe_req *req, struct nfe_rsp *rsp);

/* Requests that most tests need. */
int fake_register(struct fake_guest *g, uint32_t key, uint64_t mem_off, uint64_t len,
		  uint32_t access);
int fake_op_key(struct fake_guest *g, enum nfe_op op, uint32_t key);
int fake_op_channel(struct fake_guest *g, enum nfe_op op, uint16_t channel);
int fake_create_channel(struct fake_guest *g, uint16_t channel, uint16_t vector, uint32_t key,
			uint64_t status_offset);

/* What the SIGBUS guard does: poison all that is mapped at this offset of the memory. */
void fake_poison(struct fake_guest *g, uint64_t mem_off);

#endif /* FAKE_TRANSPORT_H */
