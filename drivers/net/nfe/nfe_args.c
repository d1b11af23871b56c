/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Device arguments, see nfe_args.h. Called at probe; each error is one line in the log.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_kvargs.h>

#include "nfe_args.h"
#include "nfe_ethdev.h"

#define NB_VDEV_ARGS 3u /* first in the list: a PCI function is where it is */
#define NFE_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static int
parse_socket(const char *key, const char *value, void *arg)
{
	struct nfe_args *args = arg;

	if (value == NULL || value[0] == '\0') {
		NFE_LOG(ERR, "%s= is empty", key);
		return -EINVAL;
	}
	if (strlen(value) > NFE_PATH_MAX) {
		NFE_LOG(ERR, "%s: path of %zu bytes, limit %zu: %s", key, strlen(value),
			NFE_PATH_MAX, value);
		return -ENAMETOOLONG;
	}
	snprintf(args->address, sizeof(args->address), NFE_BUS_PREFIX "%s", value);
	return 0;
}

static int
parse_u32(const char *key, const char *value, uint32_t min, uint32_t max, uint32_t *number)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(value != NULL ? value : "", &end, 0);
	if (errno != 0 || value == NULL || value[0] == '\0' || value[0] == '-' || *end != '\0' ||
	    n < min || n > max) {
		NFE_LOG(ERR, "%s=%s: expected a number %u..%u", key, value != NULL ? value : "",
			min, max);
		return -EINVAL;
	}
	*number = n;
	return 0;
}

static int
parse_queues(const char *key, const char *value, void *arg)
{
	return parse_u32(key, value, 1, NFE_MAX_QUEUES, &((struct nfe_args *)arg)->queues);
}

static int
parse_xen(const char *key, const char *value, void *arg)
{
	struct nfe_args *args = arg;
	uint32_t number;
	int ret = parse_u32(key, value, 0, UINT16_MAX, &number);

	if (ret == 0 && args->address[0] != '\0') {
		NFE_LOG(ERR, NFE_ARG_SOCKET "= and " NFE_ARG_XEN "= exclude each other");
		return -EINVAL;
	}
	if (ret == 0)
		snprintf(args->address, sizeof(args->address), NFE_XEN_PREFIX "%u", number);
	return ret;
}

static int
parse_share_kib(const char *key, const char *value, void *arg)
{
	return parse_u32(key, value, NFE_SHARE_MIN_KIB, NFE_SHARE_MAX_KIB,
			 &((struct nfe_args *)arg)->share_kib);
}

static int
parse_inline(const char *key, const char *value, void *arg)
{
	return parse_u32(key, value, NFE_INLINE_ONE, UINT16_MAX,
			 &((struct nfe_args *)arg)->inline_len);
}

static int
parse_first_index(const char *key, const char *value, void *arg)
{
	return parse_u32(key, value, 0, UINT32_MAX, &((struct nfe_args *)arg)->first_index);
}

static int
parse_mac(const char *key, const char *value, void *arg)
{
	struct rte_ether_addr *mac = &((struct nfe_args *)arg)->mac;

	if (value != NULL && rte_ether_unformat_addr(value, mac) == 0 &&
	    rte_is_valid_assigned_ether_addr(mac))
		return 0;
	NFE_LOG(ERR, "%s=%s: expected a unicast address XX:XX:XX:XX:XX:XX", key,
		value != NULL ? value : "");
	return -EINVAL;
}

static int
parse_one(const char *name, const struct rte_kvargs *kvargs, const char *key,
	  arg_handler_t handler, struct nfe_args *args)
{
	if (rte_kvargs_count(kvargs, key) > 1) {
		NFE_LOG(ERR, "%s: %s= is given more than once", name, key);
		return -EINVAL;
	}
	return rte_kvargs_process(kvargs, key, handler, args);
}

static bool
in_xen_domain(void)
{
	char type[8] = "";
	FILE *file = fopen("/sys/hypervisor/type", "r");

	if (file == NULL)
		return false;
	if (fgets(type, sizeof(type), file) == NULL)
		type[0] = '\0';
	fclose(file);
	return strncmp(type, "xen", 3) == 0;
}

/* Can what EAL has be named by physical address? Weak: unit tests know of another memory. */
__attribute__((weak)) bool
nfe_args_physical(void)
{
	return rte_eal_has_hugepages() != 0 && rte_eal_iova_mode() == RTE_IOVA_PA;
}

/* Foreign mapping over Xen: no copies. */
static bool
use_physical(const char *name, struct nfe_args *args)
{
	uint64_t base;

	if (!nfe_bus_takes_physical(args->address, &base))
		return false;
	if (!nfe_args_physical()) {
		NFE_LOG(NOTICE, "%s: foreign mapping is allowed, but needs hugepages and "
			"--iova-mode=pa: frames are copied", name);
		return false;
	}
	args->by_iova = true;
	args->iova_base = base;
	return true;
}

/* Nothing said: a Xen domain has a first device, anybody else must name a socket. */
static int
find_device(const char *name, struct nfe_args *args)
{
	if (args->address[0] == '\0' && !in_xen_domain()) {
		NFE_LOG(ERR, "%s: " NFE_ARG_SOCKET "=PATH is missing", name);
		return -EINVAL;
	}
	if (args->address[0] == '\0')
		snprintf(args->address, sizeof(args->address), NFE_XEN_PREFIX "0");
	if (args->share_kib == 0 && nfe_bus_own_memory(args->address) && !use_physical(name, args))
		args->share_kib = NFE_SHARE_XEN_KIB;
	return 0;
}

int
nfe_args_parse(const char *name, const char *text, bool is_vdev, struct nfe_args *args)
{
	static const char *const keys[] = { NFE_ARG_SOCKET, NFE_ARG_XEN, NFE_ARG_SHARE_KIB,
					    NFE_ARG_QUEUES, NFE_ARG_MAC, NFE_ARG_INLINE,
					    NFE_ARG_FIRST_INDEX, NULL };
	static const arg_handler_t handlers[] = { parse_socket, parse_xen, parse_share_kib,
						  parse_queues, parse_mac, parse_inline,
						  parse_first_index };
	unsigned int first = is_vdev ? 0 : NB_VDEV_ARGS;
	struct rte_kvargs *kvargs;
	int ret = 0;

	memset(args, 0, sizeof(*args));
	kvargs = rte_kvargs_parse(text != NULL ? text : "", keys + first);
	if (kvargs == NULL) {
		NFE_LOG(ERR, "%s: unknown argument in \"%s\"; known are %s" NFE_ARG_QUEUES ", "
			NFE_ARG_MAC ", " NFE_ARG_INLINE " and " NFE_ARG_FIRST_INDEX, name, text,
			is_vdev ? NFE_ARG_SOCKET ", " NFE_ARG_XEN ", " NFE_ARG_SHARE_KIB ", " : "");
		return -EINVAL;
	}
	for (unsigned int i = first; i < RTE_DIM(handlers) && ret == 0; i++)
		ret = parse_one(name, kvargs, keys[i], handlers[i], args);
	rte_kvargs_free(kvargs);
	if (ret == 0 && is_vdev)
		ret = find_device(name, args);
	return ret < 0 ? -EINVAL : 0;
}
