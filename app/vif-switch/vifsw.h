/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The daemon's rooms: what main.c ties together.
 *
 *   vifsw_options.c    the command line            vifsw_dir.c        lock, counters, limits
 *   vifsw_ports.c      VIFs and uplinks            vifsw_control.c    control thread's events
 *   vifsw_xen.c        VIFs of Xen domains
 *   vifsw_telemetry.c  hand-over from DPDK's telemetry threads
 *   vifsw_show.c       what each telemetry command answers; about ports: vifsw_show_port.c
 *
 * Everything runs on the control thread (main lcore) unless it says otherwise. Data lcores run
 * vsw_lcore_main() of lib/vswitch only.
 */
#ifndef VIFSW_H
#define VIFSW_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <nfed_loop.h>
#include <nfed_share.h>
#include <nfed_trigger.h>
#include <nfed_vfio_user.h>
#include <nfed_xen.h>
#include <vsw.h>

#include "vifsw_config.h"

/* One line of the log, on stderr, unbuffered. Any thread. */
void vifsw_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vifsw_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vifsw_log_init(void);

struct vifsw_options {
	const char *config;
	const char *socket_dir; /* NULL: as configured */
	int eal_argc;           /* leading arguments for the EAL, argv[0] included */
};
enum vifsw_todo { VIFSW_RUN, VIFSW_DONE, VIFSW_FAILED };
/* Does --check, --help and --version itself. */
enum vifsw_todo vifsw_options_parse(int argc, char **argv, struct vifsw_options *options);
/* Reads a configuration; errors go to stderr as FILE:LINE: message. */
int vifsw_options_config(const char *path, const char *socket_dir, struct vifsw_config **config);

/* Exclusive lock of the socket directory, made if it is missing. *lock_fd is held open as long as
 * the sockets are ours. -EWOULDBLOCK: another vif-switch has it (logged with its pid). */
int vifsw_dir_lock(const char *dir, int *lock_fd);
/* SOCKET_DIR/lcores, mapped: a struct vsw_lcore_counters for each data lcore, in their order. A link to
 * memory of this process, to be read by root and by its own user. Gives a descriptor that is open
 * as long as it is there; negative errno, logged. */
#define VIFSW_COUNTERS "lcores"
int vifsw_counters_open(const char *dir, unsigned int nb_lcores,
			struct vsw_lcore_counters **counters);
void vifsw_counters_close(const char *dir, unsigned int nb_lcores,
			  struct vsw_lcore_counters *counters, int fd);
/* Raise the limit of open files towards the hard limit; -EMFILE if the VIFs need more. */
int vifsw_raise_nofile(const struct vifsw_config *config);
/* What each VIF may have of descriptors and memory maps. With the EAL running, so that its own maps
 * count. -EMFILE or -ENOMEM if that is too little (logged with numbers). */
int vifsw_share(const struct vifsw_config *config, struct nfed_share *share);

struct vifsw_guest { /* a VIF and its attachment */
	const struct vifsw_vif *conf;
	struct vsw_port *port;
	struct nfed_vfio_user *att; /* by socket, or NULL */
	struct nfed_xen_vif *xen;   /* over Xen, or NULL */
};

struct vifsw {
	struct vifsw_config *config;
	struct nfed_loop *loop;
	struct vsw *sw;
	struct nfed_share share; /* of each VIF */
	struct nfed_triggers *triggers; /* of all functions with a socket */
	struct vifsw_guest *guests; /* config->nb_vifs, in the order of the configuration */
	unsigned int nb_guests;
	struct nfed_xen *xen; /* NULL: no VIF needs it */
	unsigned int nb_attached;
	unsigned int nb_learning; /* uplinks that learn */
	unsigned int nb_lcores;
	int counters_fd;
	uint64_t start_ms;
	int signal_fd, timer_fd;
	bool busy_timer; /* the timer runs at its fast pace */
	bool end;
};

uint64_t vifsw_now_ms(void);

/* All uplinks and VIFs of the configuration. Unwinds what it made when one fails (logged). */
int vifsw_ports_open(struct vifsw *s);
void vifsw_ports_close(struct vifsw *s);
struct vifsw_guest *vifsw_guest_find(struct vifsw *s, const char *name);

/* vifsw_xen.c: the attachment of a VIF with "xen"; logged if it fails. */
int vifsw_xen_attach(struct vifsw *s, struct vifsw_guest *guest,
		     const struct nfed_function_conf *function,
		     void (*attached)(void *owner, bool attached, const char *why));
void vifsw_xen_close(struct vifsw *s); /* its VIFs are gone */
void vifsw_xen_tick(struct vifsw *s);
json_t *vifsw_xen_show(const struct vifsw_guest *guest);

/* Signals, housekeeping timer, the switch's own event; SIGTERM and SIGINT set s->end. */
void vifsw_control_block_signals(void);
int vifsw_control_start(struct vifsw *s);
void vifsw_control_stop(struct vifsw *s);
/* A guest came or went: is the fast timer needed? */
void vifsw_control_pace(struct vifsw *s);

int vifsw_telemetry_start(struct vifsw *s);
void vifsw_telemetry_stop(struct vifsw *s); /* later calls are answered with an error */

/* A telemetry command. Answers with objects of objects, strings and integers, or with an array of
 * strings. */
struct vifsw_show {
	const char *command;
	const char *help;
	json_t *(*show)(struct vifsw *s, const char *params); /* params: "" if there are none */
};
/* i-th command; NULL behind the last. */
const struct vifsw_show *vifsw_show(unsigned int i);
json_t *vifsw_show_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* VIFSW_H */
