# SPDX-License-Identifier: BSD-2-Clause
#
# Osprey.  One non-recursive Makefile; GNU make 4.
#
#   make demo    installs what is missing (as root), builds, shows nested OSCORE through two proxies
#   make test    installs what is missing (as root), builds, runs every test
#
#   all check check-asan check-tsan lint format headers trace bench fuzz killtest flood soak install uninstall deb-free clean

# ---- what can be set from outside ----
BUILD   ?= build
PREFIX  ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
DOCDIR  ?= $(PREFIX)/share/doc/osprey
SYSCONFDIR ?= /etc
UNITDIR ?= /lib/systemd/system
SYSUSERSDIR ?= /usr/lib/sysusers.d
TMPFILESDIR ?= /usr/lib/tmpfiles.d
CFLAGS  ?= -O2 -g
WERROR  ?=
PYTHON  ?= /usr/bin/python3
DESTDIR ?=

VERSION := 0.1.0

# ---- compiler ----
STD   := -std=c11 -D_GNU_SOURCE -DOSP_VERSION='"$(VERSION)"'
WARN  := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
         -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough
HARD  := -fstack-protector-strong -fno-common -fPIE
ifeq ($(findstring -fsanitize,$(CFLAGS)),)
HARD  += -D_FORTIFY_SOURCE=2
endif
PKGS  := libcoap-3-notls libcrypto libcbor yaml-0.1 libevent_core lmdb libcares
# Asked when it is first needed, since the packages may have to be installed before, and then only once.
once = $(eval $(1) := $(shell pkg-config $(2) 2>/dev/null))$($(1))
PKG_CFLAGS  = $(call once,PKG_CFLAGS,--cflags $(PKGS))
LIBS_LIB    = $(call once,LIBS_LIB,--libs libcoap-3-notls libcrypto libcbor)
LIBS_YAML   = $(call once,LIBS_YAML,--libs yaml-0.1)
LIBS_EVENT  = $(call once,LIBS_EVENT,--libs libevent_core lmdb libcares)
LIBS_DAEMON = $(LIBS_EVENT) -pthread
LIBS_TEST   = $(call once,LIBS_TEST,--libs cmocka jansson)
ALL_CFLAGS = $(STD) $(WARN) $(WERROR) $(HARD) $(CFLAGS) -Ilib -I. $(PKG_CFLAGS) -MMD -MP
ALL_LDFLAGS = $(CFLAGS) $(LDFLAGS) -pie -Wl,-z,relro,-z,now

# ---- sources ----
LIB_SRC    := $(sort $(wildcard lib/*/*.c lib/*/*/*.c))
CONFIG_SRC := $(sort $(wildcard config/*.c))
# daemon/common/ belongs to all programs
COMMON_SRC  := $(sort $(wildcard daemon/common/*.c))
OSPREYD_SRC := $(sort $(wildcard daemon/ospreyd/*.c daemon/ospreyd/*/*.c)) $(COMMON_SRC)
OSPREY_SRC  := $(sort $(wildcard daemon/osprey/*.c daemon/osprey/*/*.c)) $(COMMON_SRC)
CLIENT_SRC  := $(filter-out daemon/osprey/main.c,$(OSPREY_SRC))
CTL_SRC     := $(sort $(wildcard daemon/ospreyctl/*.c)) $(COMMON_SRC)
# tests/unit/ has the folders of lib/, config/ and daemon/
UNIT_ALL   := $(sort $(foreach d,unit unit/* unit/*/* replay,$(wildcard tests/$(d)/*.c)))
UNIT_SRC   := $(foreach f,$(UNIT_ALL),$(if $(filter test_%,$(notdir $(f))),$(f)))
UNIT_AID   := $(filter-out $(UNIT_SRC),$(UNIT_ALL))
FUZZ_SRC   := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SRC  := $(sort $(wildcard tests/bench/bench_*.c))
HEADERS    := $(sort $(wildcard lib/*/*.h lib/*/*/*.h config/*.h daemon/*/*.h daemon/*/*/*.h tests/*.h tests/*/*.h tests/*/*/*.h tests/*/*/*/*.h))

comma := ,
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

LIB     := $(BUILD)/libosprey.a
LIBCFG  := $(BUILD)/libconfig.a
LIBAID  := $(BUILD)/libaid.a
LIBDAEMON := $(BUILD)/libdaemon.a
LIBCLIENT := $(BUILD)/libclient.a
UNIT    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
FUZZ    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(FUZZ_SRC))
FLOOD   := $(BUILD)/tests/flood/flood_send $(BUILD)/tests/bench/bench_origin
SOAK    := $(BUILD)/tests/bench/bench_load $(BUILD)/tests/bench/bench_origin
BENCH   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(BENCH_SRC))
PROGRAMS := $(BUILD)/ospreyd $(BUILD)/ospreyctl $(BUILD)/osprey

.DELETE_ON_ERROR:
.PHONY: all deps check check-asan check-tsan threaded test demo bench lint format headers trace fuzz killtest flood soak \
        mutants install uninstall deb-free clean programs units unit-programs aids conformance

all: deps
	@$(MAKE) --no-print-directory programs

programs: $(PROGRAMS)

# Installs missing packages when root, names them when not.
deps:
	@sh .ci/deps $(DEPS)

# ---- rules ----
$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

# An archive; for tests/mutants.py a shared object, with LIB_MORE in it.
$(LIB): $(call obj,$(LIB_SRC)) $(LIB_MORE)
	@rm -f $@; $(if $(filter %.so,$@),$(CC) -shared -Wl$(comma)-soname$(comma)$(@F) $(CFLAGS) -o $@ $^ $(LIBS_LIB),ar rcs $@ $^)
$(LIBCFG): $(call obj,$(CONFIG_SRC))
	@rm -f $@; ar rcs $@ $^
$(LIBAID): $(call obj,$(UNIT_AID))
	@rm -f $@; ar rcs $@ $^
# The daemon without its main, for the unit tests of its parts (tests/unit/daemon/).
$(LIBDAEMON): $(call obj,$(filter-out daemon/ospreyd/main.c,$(OSPREYD_SRC)))
	@rm -f $@; ar rcs $@ $^
$(LIBCLIENT): $(call obj,$(CLIENT_SRC))
	@rm -f $@; ar rcs $@ $^

$(BUILD)/ospreyd: $(call obj,$(OSPREYD_SRC)) $(LIBCFG) $(LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB) $(LIBS_YAML) $(LIBS_DAEMON)
$(BUILD)/osprey: $(call obj,$(OSPREY_SRC)) $(LIBCFG) $(LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB) $(LIBS_YAML)
$(BUILD)/ospreyctl: $(call obj,$(CTL_SRC)) $(LIBCFG) $(LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB) $(LIBS_YAML)

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIBAID) $(LIBCFG) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB) $(LIBS_YAML) $(LIBS_TEST)
# Parts of the client that need no socket.
$(BUILD)/tests/unit/daemon/osprey/%: $(BUILD)/obj/tests/unit/daemon/osprey/%.o $(LIBAID) $(LIBCLIENT) $(LIBCFG) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB) $(LIBS_YAML) $(LIBS_TEST)
$(BUILD)/tests/unit/daemon/%: $(BUILD)/obj/tests/unit/daemon/%.o $(LIBDAEMON) $(LIBAID) $(LIBCFG) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB) $(LIBS_YAML) $(LIBS_DAEMON) $(LIBS_TEST)
$(BUILD)/tests/replay/%: $(BUILD)/obj/tests/replay/%.o $(LIBAID) $(LIBCFG) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB) $(LIBS_YAML) $(LIBS_TEST)
# A fuzz target runs its corpus like any test; `make fuzz` links it with libFuzzer instead.
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/main.o $(LIBCFG) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB) $(LIBS_YAML)
$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB) -pthread
$(BUILD)/tests/flood/%: $(BUILD)/obj/tests/flood/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_LIB)

units: $(UNIT) $(FUZZ) $(FLOOD)
unit-programs: $(UNIT)

# ---- tests ----
check: programs units
	$(PYTHON) tests/run.py --build $(BUILD) $(CHECK_ARGS)

ASAN_CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
check-asan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS='$(ASAN_CFLAGS)' check

# Unit programs whose tests run threads, under ThreadSanitizer.
TSAN_CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
THREADED := $(shell grep -l pthread_create $(UNIT_SRC)) tests/unit/daemon/ospreyd/test_lease.c
check-tsan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS='$(TSAN_CFLAGS)' threaded

threaded: $(patsubst tests/%.c,$(BUILD)/tests/%,$(THREADED))
	@for t in $^; do echo "$$t"; setarch -R "$$t" || exit 1; done

test:
	@$(MAKE) --no-print-directory deps DEPS=test
	@$(MAKE) --no-print-directory check

demo: deps
	@$(MAKE) --no-print-directory programs
	$(PYTHON) tests/demo/demo.py --build $(BUILD)

bench:
	@$(MAKE) --no-print-directory deps DEPS=test
	@$(MAKE) --no-print-directory programs $(BENCH)
	$(PYTHON) tests/bench/run.py --build $(BUILD) $(BENCH_ARGS)

# kill -9 under load with edits of the configuration in between: no number twice, nothing executed twice.
ROUNDS ?= 1000
killtest:
	@$(MAKE) --no-print-directory deps DEPS=test
	@$(MAKE) --no-print-directory programs
	$(PYTHON) tests/kill/killtest.py --build $(BUILD) --rounds $(ROUNDS) $(KILL_ARGS)

# Spoofed datagrams of nine kinds beside clients with a context: nobody is shut out, memory keeps its bound.
FLOOD_COUNT ?= 1000000
flood:
	@$(MAKE) --no-print-directory deps DEPS=test
	@$(MAKE) --no-print-directory programs $(FLOOD)
	$(PYTHON) tests/flood/flood.py --build $(BUILD) --count $(FLOOD_COUNT) $(FLOOD_ARGS)

# Everything at once for a long time: nothing lost, no 5.03, memory and descriptors flat, nothing pending at the end.
SOAK_MINUTES ?= 10
soak:
	@$(MAKE) --no-print-directory deps DEPS=test
	@$(MAKE) --no-print-directory programs $(SOAK)
	$(PYTHON) tests/soak/soak.py --build $(BUILD) --minutes $(SOAK_MINUTES) $(SOAK_ARGS)

FUZZ_SECONDS ?= 60
fuzz:
	sh tests/fuzz/fuzz.sh $(BUILD)/fuzz $(FUZZ_SECONDS)

# Changes lib/ in one place at a time; says which changes no test notices.
mutants:
	@$(MAKE) --no-print-directory deps DEPS=test
	$(PYTHON) tests/mutants.py $(MUTANTS_ARGS)

# ---- house rules ----
lint:
	$(PYTHON) tests/lint.py

format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

headers:
	@for h in $(HEADERS); do echo "#include \"$$h\"" | \
	  $(CC) $(STD) $(WARN) -Werror -Ilib -I. $(PKG_CFLAGS) -x c -fsyntax-only - || { echo "$$h does not compile alone"; exit 1; }; done
	@echo "$(words $(HEADERS)) headers compile alone"

# Requirements tagged in the code that no test carries.
trace:
	$(PYTHON) tests/trace.py

# docs/CONFORMANCE.md from the row ids that tests carry.
conformance:
	$(PYTHON) tests/conformance.py > docs/CONFORMANCE.md

# ---- installation ----
install: deps
	@$(MAKE) --no-print-directory programs
	install -D -m 755 $(BUILD)/ospreyd $(DESTDIR)$(SBINDIR)/ospreyd
	install -D -m 755 $(BUILD)/ospreyctl $(DESTDIR)$(SBINDIR)/ospreyctl
	install -D -m 755 $(BUILD)/osprey $(DESTDIR)$(BINDIR)/osprey
	for m in docs/man/*.8; do install -D -m 644 $$m $(DESTDIR)$(MANDIR)/man8/$$(basename $$m); done
	for m in docs/man/*.5; do install -D -m 644 $$m $(DESTDIR)$(MANDIR)/man5/$$(basename $$m); done
	for m in docs/man/*.1; do install -D -m 644 $$m $(DESTDIR)$(MANDIR)/man1/$$(basename $$m); done
	for d in docs/*.md README.md LICENSE; do install -D -m 644 $$d $(DESTDIR)$(DOCDIR)/$$(basename $$d); done
	for d in config/samples/*.yaml; do install -D -m 644 $$d $(DESTDIR)$(DOCDIR)/samples/$$(basename $$d); done
	for d in config/samples/*/*.yaml; do install -D -m 644 $$d $(DESTDIR)$(DOCDIR)/samples/$${d#config/samples/}; done
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|@SBINDIR@|$(SBINDIR)|g; s|@SYSCONFDIR@|$(SYSCONFDIR)|g' systemd/ospreyd.service > $(DESTDIR)$(UNITDIR)/ospreyd.service
	install -D -m 644 systemd/osprey.sysusers $(DESTDIR)$(SYSUSERSDIR)/osprey.conf
	install -D -m 644 systemd/osprey.tmpfiles $(DESTDIR)$(TMPFILESDIR)/osprey.conf
	install -d -m 750 $(DESTDIR)$(SYSCONFDIR)/osprey

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/ospreyd $(DESTDIR)$(SBINDIR)/ospreyctl $(DESTDIR)$(BINDIR)/osprey
	rm -f $(DESTDIR)$(MANDIR)/man8/ospreyd.8 $(DESTDIR)$(MANDIR)/man8/ospreyctl.8
	rm -f $(DESTDIR)$(MANDIR)/man5/osprey.yaml.5 $(DESTDIR)$(MANDIR)/man1/osprey.1
	rm -f $(DESTDIR)$(UNITDIR)/ospreyd.service $(DESTDIR)$(SYSUSERSDIR)/osprey.conf $(DESTDIR)$(TMPFILESDIR)/osprey.conf
	rm -rf $(DESTDIR)$(DOCDIR)

# A tar archive of the installation, for machines that build no packages.
deb-free: deps
	@$(MAKE) --no-print-directory programs
	rm -rf $(BUILD)/image
	@$(MAKE) --no-print-directory install DESTDIR=$(abspath $(BUILD)/image) PREFIX=/usr
	tar -C $(BUILD)/image --owner=0 --group=0 -czf $(BUILD)/osprey-$(VERSION).tar.gz .
	@echo $(BUILD)/osprey-$(VERSION).tar.gz

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
