# What packages carry, and the packages. Included by the Makefile at the top.

VERSION  := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
PACKAGES := target/packages
DEB_ARCH  = $(shell dpkg --print-architecture)
DEB_TREE := target/deb/atlaskv-$(VERSION)

# Where Linux distributions agree; ZSHDIR differs on Debian.
SHARE   := $(PREFIX)/share
DOCDIR  ?= $(SHARE)/doc/atlaskv
BASHDIR ?= $(SHARE)/bash-completion/completions
ZSHDIR  ?= $(SHARE)/zsh/site-functions
FISHDIR ?= $(SHARE)/fish/vendor_completions.d
SYSTEMD := $(PREFIX)/lib/systemd
INSTALL_PROGRAM ?= $(INSTALL)
PIUPARTS_SUITE  ?= bookworm

.PHONY: manual deb rpm apt-repo lint-packages check-reproducible piuparts

# Man pages and completions from the command lines and from config/atlaskv.toml.
manual:
	$(CARGO) run --locked --quiet --example manual

# Units and scripts name /usr/bin; elsewhere they name PREFIX.
stage:
	$(INSTALL) -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/libexec/atlaskv' '$(DESTDIR)$(SYSTEMD)/system' \
	    '$(DESTDIR)$(SYSTEMD)/catalog' '$(DESTDIR)$(PREFIX)/lib/sysusers.d' '$(DESTDIR)$(PREFIX)/lib/tmpfiles.d' \
	    '$(DESTDIR)$(DOCDIR)/examples/monitoring' '$(DESTDIR)$(SHARE)/licenses/atlaskv'
	$(INSTALL) -d -m 0750 '$(DESTDIR)$(SYSCONFDIR)/atlaskv'
	for binary in $(BINARIES); do \
	    $(INSTALL_PROGRAM) -m 0755 $(RELEASE)/$$binary '$(DESTDIR)$(PREFIX)/bin/' || exit 1; \
	done
	test -e '$(DESTDIR)$(SYSCONFDIR)/atlaskv/atlaskv.toml' || \
	    $(INSTALL) -m 0640 config/atlaskv.toml '$(DESTDIR)$(SYSCONFDIR)/atlaskv/'
	$(INSTALL) -m 0755 packaging/restart-checked '$(DESTDIR)$(PREFIX)/libexec/atlaskv/'
	$(INSTALL) -m 0644 systemd/*.service systemd/*.socket systemd/*.timer '$(DESTDIR)$(SYSTEMD)/system/'
	sed -i 's,/usr/bin\b,$(PREFIX)/bin,g' '$(DESTDIR)$(PREFIX)/libexec/atlaskv/restart-checked' \
	    '$(DESTDIR)$(SYSTEMD)/system'/atlaskv*.service
	$(INSTALL) -m 0644 systemd/atlaskv.sysusers '$(DESTDIR)$(PREFIX)/lib/sysusers.d/atlaskv.conf'
	$(INSTALL) -m 0644 systemd/atlaskv.tmpfiles '$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/atlaskv.conf'
	$(INSTALL) -m 0644 systemd/atlaskv.catalog '$(DESTDIR)$(SYSTEMD)/catalog/'
	$(INSTALL) -m 0644 README.md CHANGELOG.md ARCHITECTURE.md docs/*.md '$(DESTDIR)$(DOCDIR)/'
	$(INSTALL) -m 0644 systemd/examples/* '$(DESTDIR)$(DOCDIR)/examples/'
	$(INSTALL) -m 0644 packaging/monitoring/* '$(DESTDIR)$(DOCDIR)/examples/monitoring/'
	for page in packaging/man/*; do \
	    $(INSTALL) -D -m 0644 -t '$(DESTDIR)$(SHARE)/man/man'"$${page##*.}" $$page || exit 1; \
	done
	$(INSTALL) -d '$(DESTDIR)$(BASHDIR)' '$(DESTDIR)$(ZSHDIR)' '$(DESTDIR)$(FISHDIR)'
	cd packaging/completions && for script in *.bash; do \
	    name=$${script%.bash}; \
	    $(INSTALL) -m 0644 $$script '$(DESTDIR)$(BASHDIR)'/$$name && \
	    $(INSTALL) -m 0644 $$name.zsh '$(DESTDIR)$(ZSHDIR)'/_$$name && \
	    $(INSTALL) -m 0644 $$name.fish '$(DESTDIR)$(FISHDIR)'/$$name.fish || exit 1; \
	done
	$(INSTALL) -m 0644 LICENSE-APACHE LICENSE-MIT '$(DESTDIR)$(SHARE)/licenses/atlaskv/'

# -d: the compiler is rustup's, which no package provides.
deb: build
	packaging/need debhelper dpkg-dev
	rm -rf $(DEB_TREE)
	$(INSTALL) -d $(DEB_TREE) $(PACKAGES)
	cp -R packaging/debian $(DEB_TREE)/debian
	cd $(DEB_TREE) && SOURCE='$(CURDIR)' dpkg-buildpackage -b -us -uc -d
	cp $(DEB_TREE)/../*_$(VERSION)_$(DEB_ARCH).deb $(PACKAGES)/

rpm: build
	packaging/need rpm
	rm -rf target/rpm
	$(INSTALL) -d target/rpm $(PACKAGES)
	env -u SOURCE_DATE_EPOCH rpmbuild -bb --quiet --define '_topdir $(CURDIR)/target/rpm' \
	    --define 'srcroot $(CURDIR)' --define 'version $(VERSION)' packaging/atlaskv.spec
	cp target/rpm/RPMS/*/atlaskv-$(VERSION)-1.*.rpm $(PACKAGES)/

# What is there already stays: several versions side by side.
apt-repo: deb
	packaging/need apt-utils gnupg
	packaging/make-apt-repo $(PACKAGES) target/apt-repo

lint-packages: deb rpm
	packaging/need lintian rpmlint systemd man-db mandoc shellcheck binutils
	packaging/lint-packages $(PACKAGES)

check-reproducible: deb rpm
	packaging/need git
	packaging/check-reproducible $(PACKAGES)

# Install, remove, purge in a bare Debian with systemd, whose own traces are not ours.
piuparts: deb target/piuparts-$(PIUPARTS_SUITE).tar.gz
	packaging/need piuparts
	piuparts --no-eatmydata -d $(PIUPARTS_SUITE) -b target/piuparts-$(PIUPARTS_SUITE).tar.gz \
	    $(PIUPARTS_OPTIONS) $(PACKAGES)/atlaskv_$(VERSION)_$(DEB_ARCH).deb

target/piuparts-%.tar.gz:
	packaging/need mmdebstrap
	$(INSTALL) -d target
	mmdebstrap --variant=minbase --include=systemd,systemd-sysv,procps --format=tar $* $@.tar
	gzip -1 <$@.tar >$@.new
	rm $@.tar
	mv $@.new $@
