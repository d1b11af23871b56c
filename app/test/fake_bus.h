/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Bus and device for tests of the host end, in one process: address "fake:NAME". The device is an
 * array of registers and a thread that answers control requests as a script says; it dies, comes
 * back and misbehaves on command. It serves one host at a time.
 *
 * The test owns the struct; fake_device_*() may be called from any thread. What the script reads
 * and the log are guarded by the lock, which is held while the script runs.
 */
#ifndef FAKE_BUS_H
#define FAKE_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <nfe_bus.h>
#include <nfe_ctrl.h>
#include <nfe_regs.h>

#define FAKE_LOG_MAX 4096
#define FAKE_CHANNELS 4 /* data channels */
#define FAKE_MAPS 64

enum fake_answer {
	FAKE_ANSWER, /* send rsp */
	FAKE_SILENT,
	FAKE_DIE, /* hang up instead */
};

struct fake_device;
typedef enum fake_answer (*fake_script)(struct fake_device *d, const struct nfe_req *req,
					struct nfe_rsp *rsp);

struct fake_device {
	const char *name;
	pthread_mutex_t lock;
	uint32_t regs[NFE_REG_END / 8]; /* the test changes what init() set, before the attach */
	fake_script script;             /* NULL: success, counters 1000 + i */
	void *arg;                      /* the test's */
	uint32_t go_fails;              /* enum nfe_reason: GO -> FAILED */
	bool go_hangs;                  /* GO -> BOOTING for ever */
	int fail_map;                   /* mem_map number fail_map (from 1) is refused; 0: none */
	int connect_error;              /* negative errno for every connect */
	bool like_pci;                  /* before the attach: nothing tells of a hang-up */
	unsigned int ring_busy;         /* so many rings are answered BUSY */

	/* What happened. */
	struct nfe_req log[FAKE_LOG_MAX];
	unsigned int nb_log;
	unsigned int connects, resets, writes, map_calls;
	uint32_t kicks[FAKE_CHANNELS + 1];
	uint32_t rings;
	struct {
		uint64_t iova, len;
	} map[FAKE_MAPS];
	unsigned int nb_maps;

	/* Private to fake_bus.c. */
	struct fake_bus *bus;
	pthread_t thread;
	int kick_fd, hup_fd; /* hup_fd: the device's end of the connection, -1: none */
	bool powered, stop;
	uint32_t sq_cons, rq_prod;
	struct fake_device *next;
};

/* Powered on, limits as a small switch has them. */
void fake_device_init(struct fake_device *d, const char *name);
void fake_device_fini(struct fake_device *d); /* nobody may be attached */
/* Hang up; connects fail with -ECONNREFUSED until power_on, which also clears the counters. */
void fake_device_die(struct fake_device *d);
void fake_device_power_on(struct fake_device *d);
/* As by FLR: the host is not told, unless the device still could write to the status block. */
void fake_device_reset(struct fake_device *d, bool status_told);
bool fake_device_powered(struct fake_device *d);
/* A cell of the test's making on the control receive queue, with an interrupt. */
void fake_device_inject(struct fake_device *d, const void *cell);
/* Control receive queue: publish an index of the test's making. */
void fake_device_set_rq_prod(struct fake_device *d, uint32_t prod);
/* Requests logged with that operation. */
unsigned int fake_device_count(struct fake_device *d, enum nfe_op op);
uint8_t *fake_device_doorbells(struct fake_device *d, unsigned int channel);

#endif /* FAKE_BUS_H */
