/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The command line: [EAL options] -- [our options]. Looked at before the EAL starts, so that a
 * wrong option or configuration costs nothing. --help prints the grammar from the keyword table.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <nfe_regs.h>
#include <rte_version.h>

#include "vifsw.h"

static void
print_keywords(unsigned int scope, const char *title)
{
	const struct vifsw_keyword *k;

	printf("\n%s\n", title);
	for (unsigned int i = 0; (k = vifsw_keyword(i)) != NULL; i++)
		if ((k->scopes & scope) != 0)
			printf("  %s %s\n        %s\n", k->name, k->args, k->help);
}

static void
print_help(void)
{
	printf("vif-switch: a switch for NFE functions on DPDK\n\n"
	       "  vif-switch [EAL options] -- --config FILE [--socket-dir DIR]\n"
	       "  vif-switch --check FILE\n\n"
	       "  --config FILE     configuration, grammar below\n"
	       "  --socket-dir DIR  instead of the configured one\n"
	       "  --check FILE      validate a configuration and end; needs no EAL\n"
	       "  --help            this text; \"vif-switch -h\" has the EAL's options\n"
	       "  --version\n\n"
	       "The main lcore controls, each further lcore moves frames: give at least two, for\n"
	       "example --lcores 0@0,1@0. An uplink is a DPDK port, for example\n"
	       "--vdev=net_af_packet0,iface=eth1.\n\n"
	       "Configuration: one statement per line, words separated by blanks, # comments.\n");
	print_keywords(VIFSW_STATEMENT, "Statements:");
	print_keywords(VIFSW_UPLINK_OPTION, "Of uplink:");
	print_keywords(VIFSW_VIF_OPTION | VIFSW_VIFS_OPTION,
		       "Of vif and vifs (count: vifs only; socket, xen, foreign: vif only):");
}

static void
print_version(void)
{
	printf("vif-switch %s, NFE ABI %u.%u, %s\n", NFE_VERSION, NFE_ABI_MAJOR, NFE_ABI_MINOR,
	       rte_version());
}

static void
config_error(void *ctx, unsigned int line, const char *message)
{
	const char *path = ctx;

	if (line == 0)
		fprintf(stderr, "%s: %s\n", path, message);
	else
		fprintf(stderr, "%s:%u: %s\n", path, line, message);
}

int
vifsw_options_config(const char *path, const char *socket_dir, struct vifsw_config **config)
{
	return vifsw_config_read(path, socket_dir, config_error, (void *)(uintptr_t)path, config);
}

static enum vifsw_todo
check(const char *path)
{
	struct vifsw_config *config;

	if (vifsw_options_config(path, NULL, &config) != 0)
		return VIFSW_FAILED;
	printf("%s: ok, %u vifs, %u uplinks\n", path, config->nb_vifs, config->nb_uplinks);
	vifsw_config_free(config);
	return VIFSW_DONE;
}

static enum vifsw_todo
wrong(const char *option, const char *why)
{
	fprintf(stderr, "vif-switch: %s: %s; see vif-switch --help\n", option, why);
	return VIFSW_FAILED;
}

/* Options with a value: --name VALUE or --name=VALUE. */
static bool
take_value(int argc, char **argv, int *i, const char *name, const char **value)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len) != 0)
		return false;
	if (argv[*i][len] == '=') {
		*value = argv[*i] + len + 1;
		return true;
	}
	if (argv[*i][len] != '\0')
		return false;
	*value = *i + 1 < argc ? argv[++*i] : "";
	return true;
}

static enum vifsw_todo
parse_own(int argc, char **argv, struct vifsw_options *options)
{
	const char *path = NULL;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_help();
			return VIFSW_DONE;
		}
		if (strcmp(argv[i], "--version") == 0) {
			print_version();
			return VIFSW_DONE;
		}
		if (take_value(argc, argv, &i, "--check", &path)) {
			if (path[0] == '\0')
				return wrong("--check", "file missing");
			return i + 1 < argc ? wrong(argv[i + 1], "--check takes one file and no more")
					    : check(path);
		}
		if (take_value(argc, argv, &i, "--config", &options->config)) {
			if (options->config[0] == '\0')
				return wrong("--config", "file missing");
		} else if (take_value(argc, argv, &i, "--socket-dir", &options->socket_dir)) {
			if (options->socket_dir[0] == '\0')
				return wrong("--socket-dir", "directory missing");
		} else {
			return wrong(argv[i], "unknown option");
		}
	}
	if (options->config == NULL)
		return wrong("--config", "missing, expected \"[EAL options] -- --config FILE\"");
	return VIFSW_RUN;
}

/* Options that need no EAL may stand first. */
static bool
stands_alone(const char *arg)
{
	static const char *const alone[] = { "--check", "--help", "--version" };

	for (unsigned int i = 0; i < RTE_DIM(alone); i++)
		if (strncmp(arg, alone[i], strlen(alone[i])) == 0)
			return true;
	return false;
}

static bool
is_misplaced(const char *arg)
{
	return strncmp(arg, "--config", strlen("--config")) == 0 ||
	       strncmp(arg, "--socket-dir", strlen("--socket-dir")) == 0 || stands_alone(arg);
}

enum vifsw_todo
vifsw_options_parse(int argc, char **argv, struct vifsw_options *options)
{
	int split = 1;

	memset(options, 0, sizeof(*options));
	while (split < argc && strcmp(argv[split], "--") != 0)
		split++;
	options->eal_argc = split;
	if (split > 1 && stands_alone(argv[1]))
		return parse_own(split - 1, argv + 1, options);
	for (int i = 1; i < split; i++) {
		if (strcmp(argv[i], "-h") == 0)
			return VIFSW_RUN; /* the EAL prints its help and ends */
		if (is_misplaced(argv[i]))
			return wrong(argv[i], "stands behind \"--\", as in"
				     " vif-switch [EAL options] -- --config FILE");
	}
	return split < argc ? parse_own(argc - split - 1, argv + split + 1, options) :
			      parse_own(0, NULL, options);
}
