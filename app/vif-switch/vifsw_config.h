/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Configuration of vif-switch: the file's grammar, what it says, and what is wrong with it.
 *
 * One statement per line, words separated by blanks, '#' starts a comment. The keyword table in
 * vifsw_config.c drives the parser, --help and the test that doc/vif-switch.md names every keyword.
 *
 * No EAL, no threads, no global state: the caller owns the configuration until it frees it. Every
 * error is reported with its line, not only the first.
 */
#ifndef VIFSW_CONFIG_H
#define VIFSW_CONFIG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vsw.h>

#define VIFSW_PATH_MAX 108 /* sun_path, the final zero included */
#define VIFSW_ETHDEV_NAME_MAX 64
#define VIFSW_MAX_VIFS 4096
#define VIFSW_MAX_UPLINKS 32 /* RTE_MAX_ETHPORTS */
#define VIFSW_DEFAULT_SOCKET_DIR "/run/vif-switch"
#define VIFSW_DEFAULT_MAX_VIFS 1024
#define VIFSW_DEFAULT_MODE 0600
#define VIFSW_DEFAULT_MTU 1500
#define VIFSW_MAX_MTU 9000
#define VIFSW_MAX_LINE 2048  /* characters */
#define VIFSW_MAX_FILE (8u << 20) /* bytes */

enum vifsw_xen {
	VIFSW_XEN_NONE, /* by its socket */
	VIFSW_XEN_ANY,  /* the device that the toolstack names the VIF in */
	VIFSW_XEN_ONE,  /* only this device: xen_domid/xen_number */
};

struct vifsw_vif {
	struct vsw_vif_conf port;
	char socket[VIFSW_PATH_MAX]; /* "": over Xen */
	enum vifsw_xen xen;
	unsigned int xen_domid, xen_number;
	bool foreign; /* the guest's memory may be mapped without grants */
	unsigned int max_queues;  /* 0: the default of the device end */
	unsigned int max_regions; /* same */
	uint64_t memory_mib;      /* same */
	unsigned int inline_max;  /* same; bytes of a frame in cells, both ways */
	bool no_offload;          /* the guest computes checksums and cuts segments itself */
	bool no_msix;             /* for VMs whose device is to be unplugged */
	unsigned int line;        /* where the file says so */
};

struct vifsw_uplink {
	char name[VSW_NAME_LEN];
	char ethdev[VIFSW_ETHDEV_NAME_MAX];
	bool learning;
	bool offload; /* the device's, for sending */
	unsigned int line;
};

struct vifsw_config {
	char socket_dir[VIFSW_PATH_MAX];
	unsigned int mode; /* permissions of the sockets */
	/* 0: the default of lib/vswitch */
	unsigned int idle_us, shared_idle_us, uplink_poll_us, flood_mbps, burst;
	unsigned int max_vifs;
	struct vifsw_vif *vifs;
	unsigned int nb_vifs;
	struct vifsw_uplink uplinks[VIFSW_MAX_UPLINKS];
	unsigned int nb_uplinks;
};

/* line 0: the file as a whole. message has no line end. */
typedef void (*vifsw_config_error_fn)(void *ctx, unsigned int line, const char *message);

/*
 * Parse and validate. socket_dir, unless NULL, replaces what the file says. Returns 0, or -EINVAL
 * when errors were reported, or -ENOMEM; *config is set only on success.
 */
int vifsw_config_parse(const char *text, size_t len, const char *socket_dir,
		       vifsw_config_error_fn error, void *ctx, struct vifsw_config **config);
/* The same for a file; what cannot be read is reported as line 0 and returned as its errno. */
int vifsw_config_read(const char *path, const char *socket_dir, vifsw_config_error_fn error,
		      void *ctx, struct vifsw_config **config);
void vifsw_config_free(struct vifsw_config *config);

#define VIFSW_MAC_TEXT 18
void vifsw_mac_format(const struct rte_ether_addr *mac, char text[VIFSW_MAC_TEXT]);

/* Where a keyword may stand. */
#define VIFSW_STATEMENT 1u     /* first word of a line */
#define VIFSW_VIF_OPTION 2u    /* behind "vif NAME" */
#define VIFSW_VIFS_OPTION 4u   /* behind "vifs PREFIX" */
#define VIFSW_UPLINK_OPTION 8u /* behind "uplink NAME" */

struct vifsw_parser;
struct vifsw_keyword {
	const char *name;
	unsigned int scopes;
	bool repeat; /* may be given more than once, on one line or on several */
	const char *args; /* as --help shows them */
	const char *help;
	void (*parse)(struct vifsw_parser *p);
};
/* i-th keyword; NULL behind the last. */
const struct vifsw_keyword *vifsw_keyword(unsigned int i);

#endif /* VIFSW_CONFIG_H */
