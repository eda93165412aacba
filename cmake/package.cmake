# SPDX-License-Identifier: Apache-2.0
# `cmake --install build/release` and the Debian package of the same files.
include(GNUInstallDirs)

# The unit names the prefix, which is known only when installing, so a script does all but the
# binary.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
install(TARGETS vedette RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(CODE "set(VEDETTE_SOURCE_DIR \"${PROJECT_SOURCE_DIR}\")
set(VEDETTE_BINARY_DIR \"${PROJECT_BINARY_DIR}\")
set(VEDETTE_BINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")")
install(SCRIPT ${PROJECT_SOURCE_DIR}/cmake/install_files.cmake)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME vedette)
set(CPACK_PACKAGE_VENDOR "The Vedette authors")
set(CPACK_PACKAGE_CONTACT "The Vedette authors <vedette@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "sentry of a Linux node: what is new about its services")
set(CPACK_PACKAGE_DESCRIPTION "Vedette watches processes and network flows through eBPF, learns what each service
normally does, and tells what is new about it. It observes and denies nothing.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS passwd)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "systemd, logrotate")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(control)
foreach(name conffiles preinst postinst prerm postrm)
  list(APPEND control ${PROJECT_SOURCE_DIR}/deploy/debian/${name})
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${control})
include(CPack)

# `ninja deb` builds the agent alone, and the package again only after one of its files changed.
file(GLOB_RECURSE installed CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/deploy/debian/*
     ${PROJECT_SOURCE_DIR}/deploy/systemd/* ${PROJECT_SOURCE_DIR}/deploy/man/*
     ${PROJECT_SOURCE_DIR}/docs/*.md)
set(deb ${PROJECT_BINARY_DIR}/vedette.deb)
add_custom_command(
  OUTPUT ${deb}
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${PROJECT_BINARY_DIR}/package ${deb}
  COMMAND ${CMAKE_CPACK_COMMAND} -G DEB --config ${PROJECT_BINARY_DIR}/CPackConfig.cmake
          -B ${PROJECT_BINARY_DIR}/package
  COMMAND sh -c "ln -s \"$0\"/package/*.deb \"$1\"" ${PROJECT_BINARY_DIR} ${deb}
  DEPENDS vedette ${installed} ${PROJECT_SOURCE_DIR}/cmake/install_files.cmake
          ${PROJECT_SOURCE_DIR}/cmake/package.cmake ${PROJECT_SOURCE_DIR}/deploy/vedette.yaml
          ${PROJECT_SOURCE_DIR}/deploy/default-profiles.yaml
          ${PROJECT_SOURCE_DIR}/deploy/vedette.logrotate ${PROJECT_SOURCE_DIR}/README.md
          ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/LICENSE
  VERBATIM
  COMMENT "Debian package")
add_custom_target(deb DEPENDS ${deb})
