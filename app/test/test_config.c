/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Configuration of vif-switch: what a good file gives, and for each mistake the line and the words
 * that name value and limit. Also: doc/vif-switch.md and config/ agree with the parser.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <vifsw_config.h>

#include "test.h"

#define MAC_A "02:00:00:00:00:0a"
#define MAC_B "02:00:00:00:00:0b"
#define MAX_REPORTS 8

static struct reports { /* errors of the last parse */
	unsigned int n, line[MAX_REPORTS];
	char message[MAX_REPORTS][512];
} reports;

static void
collect(void *ctx, unsigned int line, const char *message)
{
	struct reports *r = ctx;

	if (r->n < MAX_REPORTS) {
		r->line[r->n] = line;
		snprintf(r->message[r->n], sizeof(r->message[0]), "%s", message);
	}
	r->n++;
}

static int
parse_bytes(const char *text, size_t len, struct vifsw_config **config)
{
	reports.n = 0;
	*config = NULL;
	return vifsw_config_parse(text, len, NULL, collect, &reports, config);
}

static int
parse(const char *text, struct vifsw_config **config)
{
	return parse_bytes(text, strlen(text), config);
}

/* The text has exactly one mistake, reported so. */
static int
expect_error(const char *text, unsigned int line, const char *message)
{
	struct vifsw_config *config;

	TEST_EQ(parse(text, &config), -EINVAL);
	TEST_TRUE(config == NULL);
	TEST_ASSERT_MSG(reports.n >= 1, "no error for: %s", text);
	TEST_STR_EQ(reports.message[0], message);
	TEST_EQ(reports.line[0], line);
	TEST_ASSERT_MSG(reports.n == 1, "also: %s", reports.message[1]);
	return TEST_OK;
}

#define EXPECT_ERROR(text, line, message)                             \
	do {                                                          \
		if (expect_error(text, line, message) != TEST_OK)     \
			return TEST_FAILED;                           \
	} while (0)

static int
empty_file_gives_defaults(void)
{
	struct vifsw_config *config;

	TEST_EQ(parse("", &config), 0);
	TEST_STR_EQ(config->socket_dir, "/run/vif-switch");
	TEST_EQ(config->mode, 0600);
	TEST_EQ(config->max_vifs, 1024);
	TEST_EQ(config->nb_vifs + config->nb_uplinks, 0);
	vifsw_config_free(config);
	return TEST_OK;
}

static int
every_statement_is_taken(void)
{
	static const char text[] =
		"# comment\n"
		"socket-dir /tmp/s\r\n"
		"\tmode 0660 # group too\n"
		"idle-us 20\nshared-idle-us 9\nuplink-poll-us 30\nmax-vifs 7\nburst 128\n"
		"uplink wire port net_af_packet0 learning on\n"
		"uplink other port 0000:03:00.0 offload on\n"
		"vif a mac " MAC_A " allow " MAC_B " allow 02:00:00:00:00:0c mtu 9000 max-mtu 9000"
		" queues 4 weight 5 rate-mbps 100000 burst-kib 7 socket /tmp/own.sock source-check off promisc on msix off offload off regions 9"
		" inline-max 124"
		" memory-mib 64\n"
		"vif b mac 02:00:00:00:00:0d allow any"; /* no newline */
	struct vifsw_config *c;
	struct vifsw_vif *v;

	TEST_EQ(parse(text, &c), 0);
	TEST_STR_EQ(c->socket_dir, "/tmp/s");
	TEST_EQ(c->mode, 0660);
	TEST_TRUE(c->idle_us == 20 && c->shared_idle_us == 9);
	TEST_TRUE(c->uplink_poll_us == 30 && c->max_vifs == 7);
	TEST_EQ(c->burst, 128);
	TEST_EQ(c->nb_uplinks, 2);
	TEST_STR_EQ(c->uplinks[0].ethdev, "net_af_packet0");
	TEST_TRUE(c->uplinks[0].learning && !c->uplinks[1].learning);
	TEST_TRUE(!c->uplinks[0].offload && c->uplinks[1].offload);
	TEST_EQ(c->nb_vifs, 2);
	v = &c->vifs[0];
	TEST_EQ(v->port.mac.addr_bytes[5], 0x0a);
	TEST_EQ(v->port.nb_allow, 2);
	TEST_EQ(v->port.allow[0].addr_bytes[5], 0x0b);
	TEST_EQ(v->port.mtu, 9000);
	TEST_EQ(v->max_queues, 4);
	TEST_EQ(v->port.weight, 5);
	TEST_TRUE(v->port.rate_mbps == 100000 && v->port.burst_kib == 7);
	TEST_STR_EQ(v->socket, "/tmp/own.sock");
	TEST_TRUE(v->port.no_source_check && v->port.promisc && !v->port.allow_any && v->no_msix);
	TEST_TRUE(v->no_offload);
	TEST_EQ(v->max_regions, 9);
	TEST_EQ(v->inline_max, 124);
	TEST_EQ(v->memory_mib, 64);
	TEST_EQ(v->line, 11);
	v = &c->vifs[1];
	TEST_STR_EQ(v->socket, "/tmp/s/b.sock");
	TEST_TRUE(v->port.allow_any && !v->port.no_source_check && !v->port.promisc && !v->no_msix);
	TEST_TRUE(!v->no_offload && v->port.rate_mbps == 0);
	TEST_EQ(v->port.mtu, 1500);
	TEST_EQ(v->port.max_mtu, 9000);
	vifsw_config_free(c);
	return TEST_OK;
}

static int
vifs_counts_names_and_macs_up(void)
{
	struct vifsw_config *c;

	TEST_EQ(parse("vifs g count 300 mac 02:00:00:00:01:f0 mtu 2000\n", &c), 0);
	TEST_EQ(c->nb_vifs, 300);
	TEST_STR_EQ(c->vifs[0].port.name, "g0");
	TEST_STR_EQ(c->vifs[299].port.name, "g299");
	TEST_STR_EQ(c->vifs[299].socket, "/run/vif-switch/g299.sock");
	TEST_EQ(c->vifs[16].port.mac.addr_bytes[4], 0x02);
	TEST_EQ(c->vifs[16].port.mac.addr_bytes[5], 0x00);
	TEST_EQ(c->vifs[299].port.mtu, 2000);
	vifsw_config_free(c);
	EXPECT_ERROR("vifs g mac " MAC_A "\n", 1, "vifs g: count missing");
	EXPECT_ERROR("vifs g count 0 mac " MAC_A "\n", 1,
		     "count: 0 is out of range, limits are 1 to 4096");
	EXPECT_ERROR("vifs g count 2 mac 02:ff:ff:ff:ff:ff\n", 1,
		     "vifs g: 2 addresses from the base on change its first byte");
	EXPECT_ERROR("vifs a123456789012345678901234567 count 1001 mac " MAC_A "\n", 1,
		     "vifs a123456789012345678901234567: name a1234567890123456789012345671000 of"
		     " 32 characters, limit 31");
	EXPECT_ERROR("vifs g count 2 mac " MAC_A " socket /x\n", 1,
		     "\"socket\" is no option of vifs");
	return TEST_OK;
}

static int
unknown_words_are_named_with_a_suggestion(void)
{
	EXPECT_ERROR("\nvfi a mac " MAC_A "\n", 2, "unknown statement \"vfi\", did you mean \"vif\"?");
	EXPECT_ERROR("bridge x\n", 1, "unknown statement \"bridge\"");
	EXPECT_ERROR("mtu 1500\n", 1, "\"mtu\" is no statement");
	EXPECT_ERROR("uplink u port p mtu 1500\n", 1, "\"mtu\" is no option of uplink");
	EXPECT_ERROR("vif a mac " MAC_A " mut 1500\n", 1,
		     "unknown option of vif \"mut\", did you mean \"mtu\"?");
	EXPECT_ERROR("uplink u port p learnin on\n", 1,
		     "unknown option of uplink \"learnin\", did you mean \"learning\"?");
	EXPECT_ERROR("idle-us 5 6\n", 1, "idle-us: unexpected \"6\"");
	return TEST_OK;
}

static int
missing_values_show_the_syntax(void)
{
	EXPECT_ERROR("socket-dir\n", 1, "socket-dir: value missing, expected \"socket-dir DIR\"");
	EXPECT_ERROR("vif a mac " MAC_A " mtu\n", 1, "mtu: value missing, expected \"mtu N\"");
	EXPECT_ERROR("vif\n", 1, "vif: value missing, expected \"vif NAME mac MAC [OPTION]...\"");
	EXPECT_ERROR("vif a\n", 1, "vif a: mac missing");
	EXPECT_ERROR("uplink u\n", 1, "uplink u: port missing, for example \"port net_af_packet0\"");
	return TEST_OK;
}

static int
numbers_are_limited_and_strict(void)
{
	EXPECT_ERROR("vif a mac " MAC_A " mtu 67\n", 1,
		     "mtu: 67 is out of range, limits are 68 to 9000 bytes");
	EXPECT_ERROR("vif a mac " MAC_A " max-mtu 9001\n", 1,
		     "max-mtu: 9001 is out of range, limits are 68 to 9000 bytes");
	EXPECT_ERROR("vif a mac " MAC_A " mtu 3000 max-mtu 2000\n", 1,
		     "vif a: mtu 3000 exceeds max-mtu 2000");
	EXPECT_ERROR("vif a mac " MAC_A " queues 65\n", 1,
		     "queues: 65 is out of range, limits are 1 to 64");
	EXPECT_ERROR("vif a mac " MAC_A " weight 17\n", 1,
		     "weight: 17 is out of range, limits are 1 to 16");
	EXPECT_ERROR("vif a mac " MAC_A " rate-mbps 100001\n", 1,
		     "rate-mbps: 100001 is out of range, limits are 1 to 100000 Mbit/s");
	EXPECT_ERROR("vif a mac " MAC_A " rate-mbps 5 burst-kib 0\n", 1,
		     "burst-kib: 0 is out of range, limits are 1 to 1048576 KiB");
	EXPECT_ERROR("vif a mac " MAC_A " burst-kib 64\n", 1,
		     "vif a: burst-kib without rate-mbps");
	EXPECT_ERROR("vif a mac " MAC_A " queues 0\n", 1,
		     "queues: 0 is out of range, limits are 1 to 64");
	EXPECT_ERROR("burst 15\n", 1, "burst: 15 is out of range, limits are 16 to 128 cells");
	EXPECT_ERROR("vif a mac " MAC_A " inline-max 59\n", 1,
		     "inline-max: 59 is out of range, limits are 60 to 572 bytes");
	EXPECT_ERROR("vif a mac " MAC_A " regions 4097\n", 1,
		     "regions: 4097 is out of range, limits are 1 to 4096");
	EXPECT_ERROR("vif a mac " MAC_A " memory-mib 18446744073709551617\n", 1,
		     "memory-mib: 18446744073709551617 is out of range, limits are 1 to 1048576 MiB");
	EXPECT_ERROR("idle-us -1\n", 1, "idle-us: \"-1\" is not a number");
	EXPECT_ERROR("idle-us 0x10\n", 1, "idle-us: \"0x10\" is not a number");
	EXPECT_ERROR("uplink-poll-us 1000001\n", 1,
		     "uplink-poll-us: 1000001 is out of range, limits are 1 to 1000000 us");
	EXPECT_ERROR("max-vifs 4097\n", 1, "max-vifs: 4097 is out of range, limits are 1 to 4096");
	EXPECT_ERROR("mode 0888\n", 1, "mode: \"0888\" is not an octal number");
	EXPECT_ERROR("mode 1000\n", 1, "mode: 1000 is out of range, limit is 0777");
	return TEST_OK;
}

static int
addresses_are_unicast_and_well_formed(void)
{
	EXPECT_ERROR("vif a mac 02:00:00:00:00\n", 1, "mac: \"02:00:00:00:00\" is not a MAC address,"
		     " expected xx:xx:xx:xx:xx:xx");
	EXPECT_ERROR("vif a mac 02-00-00-00-00-01\n", 1, "mac: \"02-00-00-00-00-01\" is not a MAC"
		     " address, expected xx:xx:xx:xx:xx:xx");
	EXPECT_ERROR("vif a mac 03:00:00:00:00:01\n", 1,
		     "mac: 03:00:00:00:00:01 is a multicast address, a VIF needs unicast");
	EXPECT_ERROR("vif a mac 00:00:00:00:00:00\n", 1,
		     "mac: 00:00:00:00:00:00 is the zero address");
	EXPECT_ERROR("vif a mac " MAC_A " allow ff:ff:ff:ff:ff:ff\n", 1,
		     "allow: ff:ff:ff:ff:ff:ff is a multicast address, a VIF needs unicast");
	return TEST_OK;
}

static int
names_and_paths_are_checked(void)
{
	char text[512], message[512], path[256];

	EXPECT_ERROR("vif a/b mac " MAC_A "\n", 1, "vif: name \"a/b\" may hold letters, digits and"
		     " . _ - only, and starts with a letter or digit");
	EXPECT_ERROR("vif ..x mac " MAC_A "\n", 1, "vif: name \"..x\" may hold letters, digits and"
		     " . _ - only, and starts with a letter or digit");
	EXPECT_ERROR("vif a1234567890123456789012345678901 mac " MAC_A "\n", 1,
		     "vif: name of 32 characters, limit 31");
	EXPECT_ERROR("socket-dir run\n", 1, "socket-dir: \"run\" is not an absolute path");
	EXPECT_ERROR("vif a mac " MAC_A " source-check yes\n", 1,
		     "source-check: \"yes\", expected on or off");
	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	snprintf(text, sizeof(text), "socket-dir %s\n", path);
	EXPECT_ERROR(text, 1, "socket-dir: path of 108 characters, limit 107");
	path[102] = '\0'; /* with "/a.sock" 109 */
	snprintf(text, sizeof(text), "vif a mac " MAC_A "\nsocket-dir %s\n", path);
	snprintf(message, sizeof(message),
		 "vif a: socket path %s/a.sock of 109 characters, limit 107", path);
	EXPECT_ERROR(text, 1, message);
	return TEST_OK;
}

static int
duplicates_name_both_lines(void)
{
	EXPECT_ERROR("vif a mac " MAC_A "\n\nvif a mac " MAC_B "\n", 3,
		     "name a already used on line 1");
	EXPECT_ERROR("vif a mac " MAC_A "\nuplink a port p\n", 2, "name a already used on line 1");
	EXPECT_ERROR("vif a mac " MAC_A "\nvif b mac " MAC_A "\n", 2,
		     "vif b: mac " MAC_A " already used by vif a on line 1");
	EXPECT_ERROR("vif b mac " MAC_B " allow " MAC_A "\nvif a mac " MAC_A "\n", 1,
		     "allow " MAC_A ": is the address of vif a on line 2");
	EXPECT_ERROR("vif a mac " MAC_A " socket /s\nvif b mac " MAC_B " socket /s\n", 2,
		     "socket /s already used on line 1");
	EXPECT_ERROR("uplink u port p\nuplink v port p\n", 2, "port p already used on line 1");
	EXPECT_ERROR("idle-us 1\nidle-us 2\n", 2, "idle-us already given on line 1");
	EXPECT_ERROR("vif a mac " MAC_A " mtu 100 mtu 200\n", 1, "mtu given twice");
	return TEST_OK;
}

static int
one_address_may_be_allowed_to_two_vifs(void)
{
	struct vifsw_config *c;

	TEST_EQ(parse("vif a mac " MAC_A " allow 02:00:00:00:00:ff\n"
		      "vif b mac " MAC_B " allow 02:00:00:00:00:ff allow 02:00:00:00:00:ff\n", &c), 0);
	vifsw_config_free(c);
	return TEST_OK;
}

static int
limits_of_ports_hold(void)
{
	char text[4096] = "vif a mac " MAC_A;

	for (unsigned int i = 0; i <= VSW_MAX_MACS; i++)
		sprintf(text + strlen(text), " allow 02:00:00:00:01:%02x", i);
	EXPECT_ERROR(text, 1, "allow: more than 32 addresses");
	EXPECT_ERROR("max-vifs 2\nvif x mac " MAC_A "\nvifs g count 3 mac 02:00:00:00:01:00\n", 3,
		     "vif g1: 4 VIFs configured, limit 2 (raise max-vifs)");
	EXPECT_ERROR("max-vifs 4096\nvifs g count 4096 mac 02:00:00:00:00:01\n"
		     "vif x mac 02:00:00:01:00:00\nvif y mac 02:00:00:01:00:01\n", 3,
		     "vif x: more than 4096 VIFs");
	text[0] = '\0';
	for (unsigned int i = 0; i <= VIFSW_MAX_UPLINKS; i++)
		sprintf(text + strlen(text), "uplink u%u port p%u\n", i, i);
	EXPECT_ERROR(text, 33, "uplink u32: more than 32 uplinks");
	return TEST_OK;
}

static int
odd_bytes_and_long_lines_are_refused(void)
{
	static const char nul[] = "vif a\0b mac " MAC_A "\n";
	struct vifsw_config *c;
	char text[2 * VIFSW_MAX_LINE + 2];

	TEST_EQ(parse_bytes(nul, sizeof(nul) - 1, &c), -EINVAL);
	TEST_STR_EQ(reports.message[0], "byte 0x00 in column 6 is not printable ASCII");
	EXPECT_ERROR("vif \xc3\xa4 mac " MAC_A "\n", 1,
		     "byte 0xc3 in column 5 is not printable ASCII");
	memset(text, '#', sizeof(text));
	strcpy(text + VIFSW_MAX_LINE + 1, "\nidle-us x\n");
	TEST_EQ(parse(text, &c), -EINVAL);
	TEST_STR_EQ(reports.message[0], "line of 2049 characters, limit 2048");
	TEST_EQ(reports.n, 2);
	TEST_EQ(reports.line[1], 2);
	for (unsigned int i = 0; i < VIFSW_MAX_LINE - 1; i++)
		text[i] = i % 2 == 0 ? 'x' : ' ';
	text[VIFSW_MAX_LINE - 1] = '\0';
	EXPECT_ERROR(text, 1, "more than 160 words");
	TEST_EQ(parse("# \xc3\xa4 in a comment is fine\n", &c), 0);
	vifsw_config_free(c);
	return TEST_OK;
}

static int
all_errors_are_reported(void)
{
	struct vifsw_config *c;

	TEST_EQ(parse("foo\nvif a mac x\n\nmode 9\nvif a mac " MAC_A "\n", &c), -EINVAL);
	TEST_EQ(reports.n, 4);
	TEST_EQ(reports.line[0], 1);
	TEST_EQ(reports.line[1], 2);
	TEST_EQ(reports.line[2], 4);
	TEST_EQ(reports.line[3], 5);
	TEST_STR_EQ(reports.message[3], "name a already used on line 2");
	return TEST_OK;
}

static int
socket_dir_of_the_command_line_wins(void)
{
	static const char text[] = "socket-dir /a\nvif v mac " MAC_A "\n";
	struct vifsw_config *c;
	char path[200];

	TEST_EQ(vifsw_config_parse(text, strlen(text), "/b", collect, &reports, &c), 0);
	TEST_STR_EQ(c->vifs[0].socket, "/b/v.sock");
	vifsw_config_free(c);
	memset(path, '/', sizeof(path));
	path[199] = '\0';
	reports.n = 0;
	TEST_EQ(vifsw_config_parse(text, strlen(text), path, collect, &reports, &c), -EINVAL);
	TEST_STR_EQ(reports.message[0], "socket directory of 199 characters, limit 107");
	reports.n = 0;
	TEST_EQ(vifsw_config_parse(text, strlen(text), "run", collect, &reports, &c), -EINVAL);
	TEST_STR_EQ(reports.message[0], "socket directory \"run\" is not an absolute path");
	return TEST_OK;
}

static int
unreadable_file_is_named(void)
{
	struct vifsw_config *c;

	reports.n = 0;
	TEST_EQ(vifsw_config_read("/nonexistent/x", NULL, collect, &reports, &c), -ENOENT);
	TEST_STR_EQ(reports.message[0], "cannot be read: No such file or directory");
	reports.n = 0;
	TEST_EQ(vifsw_config_read("/", NULL, collect, &reports, &c), -EISDIR);
	TEST_EQ(reports.line[0], 0);
	return TEST_OK;
}

static int
examples_in_config_parse(void)
{
	DIR *dir = opendir(VIFSW_SOURCE_ROOT "/config");
	struct vifsw_config *c;
	struct dirent *entry;
	unsigned int n = 0;
	char path[1024];

	TEST_TRUE(dir != NULL);
	reports.n = 0;
	while ((entry = readdir(dir)) != NULL && reports.n == 0) {
		const char *end = strrchr(entry->d_name, '.');

		if (end == NULL || strcmp(end, ".conf") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/config/%s", VIFSW_SOURCE_ROOT, entry->d_name);
		if (vifsw_config_read(path, NULL, collect, &reports, &c) == 0)
			vifsw_config_free(c);
		n++;
	}
	closedir(dir);
	TEST_ASSERT_MSG(reports.n == 0, "%s:%u: %s", path, reports.line[0], reports.message[0]);
	TEST_TRUE(n >= 3);
	return TEST_OK;
}

static char *
read_source(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1u << 20);

	if (f != NULL && text != NULL)
		text[fread(text, 1, (1u << 20) - 1, f)] = '\0';
	if (f != NULL)
		fclose(f);
	return text;
}

/* One table row per keyword: | `mtu N` | ... */
static int
guide_has_a_row_for_each_keyword(void)
{
	char *text = read_source(VIFSW_SOURCE_ROOT "/doc/vif-switch.md"), row[256];
	const struct vifsw_keyword *k;
	const char *missing = NULL;

	TEST_TRUE(text != NULL);
	for (unsigned int i = 0; (k = vifsw_keyword(i)) != NULL && missing == NULL; i++) {
		snprintf(row, sizeof(row), "\n| `%s ", k->name);
		if (strstr(text, row) == NULL)
			missing = k->name;
	}
	free(text);
	TEST_ASSERT_MSG(missing == NULL, "%s is not in doc/vif-switch.md", missing);
	return TEST_OK;
}

/* Is there a line that begins with statement and holds the option? */
static bool
line_with(const char *text, const char *statement, const char *option)
{
	char word[64];

	snprintf(word, sizeof(word), " %s ", option);
	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		size_t len = strcspn(line += *line == '\n', "\n");
		const char *at = strstr(line, word);

		if (strncmp(line, statement, strlen(statement)) == 0 && at != NULL &&
		    at < line + len)
			return true;
	}
	return false;
}

static int
full_example_has_each_keyword(void)
{
	static const struct {
		unsigned int scope;
		const char *statement;
	} options[] = {
		{ VIFSW_VIF_OPTION, "vif " }, { VIFSW_UPLINK_OPTION, "uplink " },
	};
	char *text = read_source(VIFSW_SOURCE_ROOT "/config/full.conf"), word[64];
	const struct vifsw_keyword *k;
	const char *missing = NULL;

	TEST_TRUE(text != NULL);
	for (unsigned int i = 0; (k = vifsw_keyword(i)) != NULL && missing == NULL; i++) {
		snprintf(word, sizeof(word), "\n%s ", k->name);
		if ((k->scopes & VIFSW_STATEMENT) && strstr(text, word) == NULL)
			missing = k->name;
		for (unsigned int j = 0; j < 2; j++)
			if ((k->scopes & options[j].scope) &&
			    !line_with(text, options[j].statement, k->name))
				missing = k->name;
	}
	free(text);
	TEST_ASSERT_MSG(missing == NULL, "%s is not in config/full.conf", missing);
	return TEST_OK;
}

static int
xen_vifs_have_a_device_instead_of_a_socket(void)
{
	struct vifsw_config *c;

	TEST_EQ(parse("vif a mac " MAC_A " xen any foreign on\nvif b mac " MAC_B " xen 12/3\n"
		      "vif c mac 02:00:00:00:00:0c xen any foreign off", &c), 0);
	TEST_EQ(c->vifs[0].xen, VIFSW_XEN_ANY);
	TEST_STR_EQ(c->vifs[0].socket, "");
	TEST_EQ(c->vifs[1].xen, VIFSW_XEN_ONE);
	TEST_TRUE(c->vifs[1].xen_domid == 12 && c->vifs[1].xen_number == 3);
	TEST_TRUE(c->vifs[0].foreign && !c->vifs[1].foreign && !c->vifs[2].foreign);
	vifsw_config_free(c);
	EXPECT_ERROR("vif a mac " MAC_A " xen 0/1", 1,
		     "xen: \"0/1\" is not \"any\" nor DOMID/N, DOMID from 1 to 32751");
	EXPECT_ERROR("vif a mac " MAC_A " xen 32752/1", 1,
		     "xen: \"32752/1\" is not \"any\" nor DOMID/N, DOMID from 1 to 32751");
	EXPECT_ERROR("vif a mac " MAC_A " xen 5/", 1,
		     "xen: \"5/\" is not \"any\" nor DOMID/N, DOMID from 1 to 32751");
	EXPECT_ERROR("vif a mac " MAC_A " xen any socket /s", 1,
		     "vif a: socket and xen exclude each other");
	EXPECT_ERROR("vif a mac " MAC_A " foreign on", 1, "vif a: foreign is for VIFs with xen");
	EXPECT_ERROR("vif a mac " MAC_A " xen 5/0\nvif b mac " MAC_B " xen 5/0", 2,
		     "xen 5/0 already used on line 1");
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(empty_file_gives_defaults),
	TEST_CASE(every_statement_is_taken),
	TEST_CASE(vifs_counts_names_and_macs_up),
	TEST_CASE(unknown_words_are_named_with_a_suggestion),
	TEST_CASE(missing_values_show_the_syntax),
	TEST_CASE(numbers_are_limited_and_strict),
	TEST_CASE(addresses_are_unicast_and_well_formed),
	TEST_CASE(names_and_paths_are_checked),
	TEST_CASE(duplicates_name_both_lines),
	TEST_CASE(one_address_may_be_allowed_to_two_vifs),
	TEST_CASE(limits_of_ports_hold),
	TEST_CASE(odd_bytes_and_long_lines_are_refused),
	TEST_CASE(all_errors_are_reported),
	TEST_CASE(socket_dir_of_the_command_line_wins),
	TEST_CASE(unreadable_file_is_named),
	TEST_CASE(xen_vifs_have_a_device_instead_of_a_socket),
	TEST_CASE(examples_in_config_parse),
	TEST_CASE(guide_has_a_row_for_each_keyword),
	TEST_CASE(full_example_has_each_keyword),
};
TEST_SUITE(config, cases);
