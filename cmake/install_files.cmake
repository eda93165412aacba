# SPDX-License-Identifier: Apache-2.0
# Runs while installing. file(INSTALL) puts DESTDIR in front and writes into install_manifest.txt.
set(prefix "${CMAKE_INSTALL_PREFIX}")
set(deploy "${VEDETTE_SOURCE_DIR}/deploy")
set(work "${VEDETTE_BINARY_DIR}/install")
if(prefix MATCHES "^/usr(/local)?$")
  set(VEDETTE_SYSCONFDIR /etc)
else()
  set(VEDETTE_SYSCONFDIR "${prefix}/etc")
endif()
set(doc "${prefix}/share/doc/vedette")

configure_file("${deploy}/systemd/vedette.service.in" "${work}/vedette.service" @ONLY)
file(INSTALL "${work}/vedette.service" DESTINATION "${prefix}/lib/systemd/system")
file(INSTALL "${deploy}/systemd/vedette.sysusers" DESTINATION "${prefix}/lib/sysusers.d"
     RENAME vedette.conf)

# A configuration that somebody wrote is kept.
set(config "${VEDETTE_SYSCONFDIR}/vedette/vedette.yaml")
if(EXISTS "$ENV{DESTDIR}${config}")
  message(STATUS "Kept: $ENV{DESTDIR}${config}")
else()
  file(INSTALL "${deploy}/vedette.yaml" DESTINATION "${VEDETTE_SYSCONFDIR}/vedette"
       PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ)
endif()
file(INSTALL "${deploy}/vedette.logrotate" DESTINATION "${VEDETTE_SYSCONFDIR}/logrotate.d"
     RENAME vedette)

file(INSTALL "${VEDETTE_SOURCE_DIR}/README.md" "${VEDETTE_SOURCE_DIR}/CHANGELOG.md"
             "${VEDETTE_SOURCE_DIR}/LICENSES" "${deploy}/debian/copyright" DESTINATION "${doc}")
file(INSTALL "${deploy}/grafana" "${deploy}/prometheus" "${deploy}/default-profiles.yaml" DESTINATION "${doc}")
file(GLOB pages "${VEDETTE_SOURCE_DIR}/docs/*.md")
file(INSTALL ${pages} DESTINATION "${doc}/docs")

set(page "${deploy}/man/vedette.8")
find_program(GZIP gzip)
if(GZIP)
  execute_process(COMMAND ${GZIP} -9nc "${page}" OUTPUT_FILE "${work}/vedette.8.gz"
                  COMMAND_ERROR_IS_FATAL ANY)
  set(page "${work}/vedette.8.gz")
endif()
file(INSTALL "${page}" DESTINATION "${prefix}/share/man/man8")
