/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Xen back end: which devices there are, and which VIF each of them is. A device is a directory
 * that only the toolstack can make, /local/domain/OURS/backend/nfe/ID/N, with the VIF's name in
 * "vif"; three kinds of watches tell of changes:
 *
 *	backend/nfe            token "devices"   the toolstack made or removed one
 *	device/nfe/N/state     token "f:ID/N"    a front end's state, hostile
 *	@releaseDomain         token "domains"   some domain ended
 *
 * A guest may fire its watch as often as it likes, and our own words fire the first kind. So a loop
 * turn first takes what has fired, without a request to xenstore, and only notes it; then each
 * device is looked at once, however much it changed (rule 10). Control thread only.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "nfed_xen_internal.h"

#define DEVICES "devices"
#define DOMAINS "domains"
#define RELEASE "@releaseDomain"
#define WATCHES_PER_TURN 4096 /* some ms at most; xenstored takes longer to make as many */
#define LOG_BURST 24 /* lines of a VIF at once, then one a second */

void
nfed_xen_log(const struct nfed_xen *xen, const char *format, ...)
{
	char line[320];
	va_list ap;

	if (xen->conf.log == NULL)
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	xen->conf.log(line);
}

void
nfed_xen_vif_log(struct nfed_xen_vif *v, const char *format, ...)
{
	static const struct nfed_allowance_limit limit = { LOG_BURST, LOG_BURST * 1000 };
	char line[256], more[48] = "";
	va_list ap;

	if (!nfed_allowance_take(&v->log_lines, &limit, nfed_now_ms(), 1)) {
		v->log_suppressed++;
		return;
	}
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (v->log_suppressed != 0)
		snprintf(more, sizeof(more), " (%u lines suppressed)", v->log_suppressed);
	v->log_suppressed = 0;
	nfed_xen_log(v->xen, "vif %s: xen %u/%u: %s%s", v->conf.name, v->domid, v->number, line,
		     more);
}

static struct nfed_xen_vif *
find_bound(const struct nfed_xen *xen, uint16_t domid, uint32_t number)
{
	struct nfed_xen_vif *v = xen->vifs;

	while (v != NULL && (!v->bound || v->domid != domid || v->number != number))
		v = v->next;
	return v;
}

static struct nfed_xen_vif *
find_named(const struct nfed_xen *xen, const char *name)
{
	struct nfed_xen_vif *v = xen->vifs;

	while (v != NULL && strcmp(v->conf.name, name) != 0)
		v = v->next;
	return v;
}

static int
state_watch(struct nfed_xen_vif *v, bool set)
{
	struct xenio *x = v->xen->conf.x;
	char path[XENIO_PATH_MAX], token[32];
	int rc;

	snprintf(path, sizeof(path), "/local/domain/%u/device/" NFE_XEN_CLASS "/%u/"
		 NFE_XEN_KEY_STATE, v->domid, v->number);
	snprintf(token, sizeof(token), "f:%u/%u", v->domid, v->number);
	rc = set ? x->ops->watch(x, path, token) : x->ops->unwatch(x, path, token);
	if (set && rc == -EEXIST)
		rc = 0; /* xenstored was slow, and did it when we had stopped waiting */
	if (rc < 0)
		v->counters.io_errors++;
	return rc;
}

/* Without it we would be deaf to the front end for ever: so again at each tick. */
static void
set_state_watch(struct nfed_xen_vif *v)
{
	v->watch_again = state_watch(v, true) < 0;
}

void
nfed_xen_unbind(struct nfed_xen_vif *v, const char *why)
{
	nfed_xen_log(v->xen, "vif %s: xen %u/%u is no more its device: %s", v->conf.name, v->domid,
		     v->number, why);
	(void)state_watch(v, false);
	v->bound = false;
	v->look = v->look_again = v->tell_again = v->watch_again = false;
	v->state = NFE_XEN_UNKNOWN;
	v->find_again = true; /* one may have been refused because it was in use */
}

static void
bind_device(struct nfed_xen_vif *v, uint16_t domid, uint32_t number)
{
	v->bound = true;
	v->find_again = false;
	v->domid = domid;
	v->number = number;
	snprintf(v->front, sizeof(v->front), "/local/domain/%u/device/" NFE_XEN_CLASS "/%u", domid,
		 number);
	snprintf(v->back, sizeof(v->back), "/local/domain/%u/backend/" NFE_XEN_CLASS "/%u/%u",
		 v->xen->domid, domid, number);
	nfed_xen_state_start(v);
	set_state_watch(v);
}

/* Is the domain there and not about to go? */
static bool
domain_lives(const struct nfed_xen *xen, uint16_t domid, struct xenio_domain *info)
{
	*info = (struct xenio_domain){ .domid = domid };
	return xen->conf.x->ops->domain_info(xen->conf.x, domid, info) != -ENOENT && !info->dying;
}

/* What the toolstack leaves behind when it destroys a domain: it knows no devices of our class. */
static void
remove_node(struct nfed_xen *xen, uint16_t domid, uint32_t number)
{
	char path[XENIO_PATH_MAX];

	snprintf(path, sizeof(path), "%.80s/%u/%u", xen->dir, domid, number);
	xen->conf.x->ops->rm(xen->conf.x, XENIO_NO_TX, path);
}

static void
device_found(struct nfed_xen *xen, uint16_t domid, uint32_t number, const char *name)
{
	struct nfed_xen_vif *v = find_named(xen, name);
	struct xenio_domain info;

	if (xen->looking_for != NULL && xen->looking_for != v)
		return;
	if (v == NULL) {
		nfed_xen_log(xen, "xen %u/%u: no VIF %.40s with \"xen\" here", domid, number, name);
	} else if (!v->conf.any && (v->conf.domid != domid || v->conf.number != number)) {
		nfed_xen_log(xen, "xen %u/%u: vif %s is for %u/%u only", domid, number, name,
			     v->conf.domid, v->conf.number);
	} else if (v->bound) {
		nfed_xen_log(xen, "xen %u/%u: vif %s is in use by %u/%u", domid, number, name,
			     v->domid, v->number);
	} else if (!domain_lives(xen, domid, &info)) {
		remove_node(xen, domid, number);
	} else {
		bind_device(v, domid, number);
	}
}

/* A device came, changed its VIF, or went. */
static void
device_look(struct nfed_xen *xen, uint16_t domid, uint32_t number)
{
	struct nfed_xen_vif *v = find_bound(xen, domid, number);
	char dir[XENIO_PATH_MAX], name[XENIO_VALUE_MAX];
	int rc;

	snprintf(dir, sizeof(dir), "%.80s/%u/%u", xen->dir, domid, number);
	rc = xenio_read(xen->conf.x, dir, NFE_XEN_KEY_VIF, name, sizeof(name));
	if (rc == -EIO) { /* xenstored does not answer: nothing is known, and the watch is over */
		xen->scan_again = true;
		return;
	}
	if (v != NULL && (rc <= 0 || strcmp(name, v->conf.name) != 0)) {
		nfed_xen_state_leave(v, "device removed");
		nfed_xen_unbind(v, "device removed");
		v = NULL;
	}
	if (v == NULL && rc > 0)
		device_found(xen, domid, number, name);
}

static void
scan_domain(struct nfed_xen *xen, uint16_t domid)
{
	char path[XENIO_PATH_MAX], **names;
	unsigned int n;
	uint32_t number;
	int rc;

	snprintf(path, sizeof(path), "%.80s/%u", xen->dir, domid);
	rc = xen->conf.x->ops->list(xen->conf.x, XENIO_NO_TX, path, &names, &n);
	xen->scan_again |= rc == -EIO;
	if (rc < 0)
		return;
	for (unsigned int i = 0; i < n; i++)
		if (xenio_parse_u32(names[i], &number) == 0 &&
		    find_bound(xen, domid, number) == NULL)
			device_look(xen, domid, number);
	free(names);
}

void
nfed_xen_find(struct nfed_xen *xen, const struct nfed_xen_vif *v)
{
	xen->looking_for = v;
	nfed_xen_scan(xen);
	xen->looking_for = NULL;
}

/* All devices there are; those that went are found by their VIFs. */
void
nfed_xen_scan(struct nfed_xen *xen)
{
	char **names;
	unsigned int n;
	uint32_t domid;
	int rc;

	for (struct nfed_xen_vif *v = xen->vifs; v != NULL; v = v->next)
		if (v->bound)
			device_look(xen, v->domid, v->number);
	rc = xen->conf.x->ops->list(xen->conf.x, XENIO_NO_TX, xen->dir, &names, &n);
	xen->scan_again |= rc == -EIO;
	if (rc < 0)
		return; /* none yet */
	for (unsigned int i = 0; i < n; i++)
		if (xenio_parse_u32(names[i], &domid) == 0 && domid <= XENIO_DOMID_MAX)
			scan_domain(xen, (uint16_t)domid);
	free(names);
}

/* "12/0" or "12/0/vif" in rest; false: something else below, most of it written by ourselves. */
static bool
parse_device(const char *rest, uint16_t *domid, uint32_t *number)
{
	unsigned int d, n;
	int end = 0, key = 0;

	if (sscanf(rest, "%5u/%9u%n/" NFE_XEN_KEY_VIF "%n", &d, &n, &end, &key) < 2)
		return false;
	if (d > XENIO_DOMID_MAX || (rest[end] != '\0' && (key == 0 || rest[key] != '\0')))
		return false;
	*domid = (uint16_t)d;
	*number = n;
	return true;
}

static void
note_device(struct nfed_xen *xen, uint16_t domid, uint32_t number)
{
	struct nfed_xen_noted *noted = &xen->noted;

	for (unsigned int i = 0; i < noted->nb_devices; i++)
		if (noted->device[i].domid == domid && noted->device[i].number == number)
			return;
	if (noted->nb_devices == NFED_XEN_NOTED_DEVICES) {
		noted->scan = true;
		return;
	}
	noted->device[noted->nb_devices].domid = domid;
	noted->device[noted->nb_devices++].number = number;
}

static void
note_devices(struct nfed_xen *xen, const char *path)
{
	size_t len = strlen(xen->dir);
	uint16_t domid;
	uint32_t number;

	if (strncmp(path, xen->dir, len) != 0)
		return;
	if (path[len] == '\0' || strchr(path + len + 1, '/') == NULL)
		xen->noted.scan = true; /* the directory itself, or that of a domain */
	else if (parse_device(path + len + 1, &domid, &number))
		note_device(xen, domid, number);
}

static void
note(struct nfed_xen *xen, const char *path, const char *token)
{
	unsigned int domid, number;
	struct nfed_xen_vif *v;

	if (strcmp(token, DEVICES) == 0) {
		note_devices(xen, path);
	} else if (strcmp(token, DOMAINS) == 0) {
		xen->noted.domains = true;
	} else if (sscanf(token, "f:%5u/%9u", &domid, &number) == 2) {
		v = find_bound(xen, (uint16_t)domid, number);
		if (v != NULL)
			v->look = true;
	}
}

static void
look_at_domains(struct nfed_xen *xen)
{
	for (struct nfed_xen_vif *v = xen->vifs; v != NULL; v = v->next) {
		struct xenio_domain info;

		if (!v->bound)
			continue;
		if (!domain_lives(xen, v->domid, &info)) {
			v->counters.gone++;
			nfed_xen_state_leave(v, "the domain is gone");
			nfed_xen_unbind(v, "the domain is gone");
			remove_node(xen, v->domid, v->number);
		} else if (info.shutdown && v->state != NFE_XEN_CLOSED) {
			v->counters.gone++;
			nfed_xen_state_close(v, info.crashed ? "the domain crashed" :
							       "the domain ended or is suspended");
		}
	}
}

static void
find_for_free_vifs(struct nfed_xen *xen)
{
	for (struct nfed_xen_vif *v = xen->vifs; v != NULL; v = v->next)
		if (v->find_again) {
			v->find_again = false;
			nfed_xen_find(xen, v);
		}
}

/* What was noted. Domains first: one that ended makes its VIF free for a device that was made. */
static void
look_at_noted(struct nfed_xen *xen)
{
	struct nfed_xen_noted noted = xen->noted;

	xen->noted = (struct nfed_xen_noted){ .nb_devices = 0 };
	if (noted.domains)
		look_at_domains(xen);
	if (noted.scan)
		nfed_xen_scan(xen);
	for (unsigned int i = 0; i < noted.nb_devices && !noted.scan; i++)
		device_look(xen, noted.device[i].domid, noted.device[i].number);
	find_for_free_vifs(xen);
	for (struct nfed_xen_vif *v = xen->vifs; v != NULL; v = v->next)
		if (v->look)
			nfed_xen_state_look(v);
}

static void
on_watch(void *arg, uint32_t events)
{
	struct nfed_xen *xen = arg;
	struct xenio *x = xen->conf.x;
	char path[XENIO_PATH_MAX], token[32];

	(void)events;
	for (unsigned int i = 0; i < WATCHES_PER_TURN; i++) {
		if (x->ops->watch_next(x, path, sizeof(path), token, sizeof(token)) <= 0)
			break;
		note(xen, path, token);
	}
	look_at_noted(xen);
}

void
nfed_xen_tick(struct nfed_xen *xen)
{
	if (xen->scan_again) {
		xen->scan_again = false;
		nfed_xen_scan(xen);
	}
	find_for_free_vifs(xen);
	for (struct nfed_xen_vif *v = xen->vifs; v != NULL; v = v->next) {
		nfed_xen_unsilence(v);
		nfed_xen_state_bury(v);
		if (v->tell_again)
			nfed_xen_state_tell(v);
		if (v->watch_again) {
			set_state_watch(v);
			v->look_again |= !v->watch_again; /* what nothing told us of */
		}
		if (v->look_again)
			nfed_xen_state_look(v);
	}
}

static int
start_watching(struct nfed_xen *xen)
{
	struct xenio *x = xen->conf.x;
	int rc = x->ops->watch(x, xen->dir, DEVICES);

	if (rc == 0)
		rc = x->ops->watch(x, RELEASE, DOMAINS);
	if (rc == 0)
		rc = nfed_loop_add(xen->conf.loop, x->ops->watch_fd(x), EPOLLIN, on_watch, xen);
	return rc;
}

int
nfed_xen_create(const struct nfed_xen_conf *conf, struct nfed_xen **out)
{
	struct nfed_xen *xen = calloc(1, sizeof(*xen));
	int rc = -ENOMEM;

	if (xen == NULL)
		goto close;
	xen->conf = *conf;
	rc = conf->x->ops->domid(conf->x);
	if (rc < 0)
		goto free;
	xen->domid = (uint16_t)rc;
	snprintf(xen->dir, sizeof(xen->dir), "/local/domain/%u/backend/" NFE_XEN_CLASS, xen->domid);
	rc = start_watching(xen);
	if (rc < 0)
		goto free;
	*out = xen;
	return 0;

free:
	free(xen);
close:
	conf->x->ops->close(conf->x);
	return rc;
}

void
nfed_xen_destroy(struct nfed_xen *xen)
{
	if (xen == NULL)
		return;
	nfed_loop_del(xen->conf.loop, xen->conf.x->ops->watch_fd(xen->conf.x));
	xen->conf.x->ops->close(xen->conf.x);
	free(xen);
}
