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

.PHONY: deb

# Units and scripts name /usr/bin; elsewhere they name PREFIX.
stage:
	$(INSTALL) -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/lib/atlaskv' '$(DESTDIR)$(SYSTEMD)/system' \
	    '$(DESTDIR)$(PREFIX)/lib/sysusers.d' '$(DESTDIR)$(PREFIX)/lib/tmpfiles.d' \
	    '$(DESTDIR)$(DOCDIR)/examples' '$(DESTDIR)$(SHARE)/licenses/atlaskv'
	$(INSTALL) -d -m 0750 '$(DESTDIR)$(SYSCONFDIR)/atlaskv'
	for binary in $(BINARIES); do \
	    $(INSTALL_PROGRAM) -m 0755 $(RELEASE)/$$binary '$(DESTDIR)$(PREFIX)/bin/' || exit 1; \
	done
	test -e '$(DESTDIR)$(SYSCONFDIR)/atlaskv/atlaskv.toml' || \
	    $(INSTALL) -m 0640 config/atlaskv.toml '$(DESTDIR)$(SYSCONFDIR)/atlaskv/'
	$(INSTALL) -m 0755 packaging/restart-checked '$(DESTDIR)$(PREFIX)/lib/atlaskv/'
	$(INSTALL) -m 0644 systemd/*.service systemd/*.socket '$(DESTDIR)$(SYSTEMD)/system/'
	sed -i 's,/usr/bin\b,$(PREFIX)/bin,g' '$(DESTDIR)$(PREFIX)/lib/atlaskv/restart-checked' \
	    '$(DESTDIR)$(SYSTEMD)/system'/atlaskv*.service
	$(INSTALL) -m 0644 systemd/atlaskv.sysusers '$(DESTDIR)$(PREFIX)/lib/sysusers.d/atlaskv.conf'
	$(INSTALL) -m 0644 systemd/atlaskv.tmpfiles '$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/atlaskv.conf'
	test ! -e systemd/atlaskv.catalog || \
	    $(INSTALL) -D -m 0644 systemd/atlaskv.catalog '$(DESTDIR)$(SYSTEMD)/catalog/atlaskv.catalog'
	$(INSTALL) -m 0644 README.md CHANGELOG.md ARCHITECTURE.md docs/*.md '$(DESTDIR)$(DOCDIR)/'
	$(INSTALL) -m 0644 systemd/examples/* '$(DESTDIR)$(DOCDIR)/examples/'
	$(INSTALL) -m 0644 LICENSE-APACHE LICENSE-MIT '$(DESTDIR)$(SHARE)/licenses/atlaskv/'

# -d: the compiler is rustup's, which no package provides.
deb: build
	packaging/need debhelper dpkg-dev
	rm -rf $(DEB_TREE)
	$(INSTALL) -d $(DEB_TREE) $(PACKAGES)
	cp -R packaging/debian $(DEB_TREE)/debian
	cd $(DEB_TREE) && SOURCE='$(CURDIR)' dpkg-buildpackage -b -us -uc -d
	cp $(DEB_TREE)/../*_$(VERSION)_$(DEB_ARCH).deb $(PACKAGES)/
