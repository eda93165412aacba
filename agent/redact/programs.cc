// SPDX-License-Identifier: Apache-2.0
#include "agent/redact/programs.h"

#include <string>

#include "absl/container/flat_hash_map.h"

namespace vedette {
namespace {

constexpr std::string_view kCurlSwitches = "fgGiIjJklLMnNOpqRsSvVZ0123456#";
constexpr SecretOption kCurl[] = {
    {'u', ValueHolds::kAfterColon, ValueStands::kEither, kCurlSwitches, "user"},
    {'U', ValueHolds::kAfterColon, ValueStands::kEither, kCurlSwitches, "proxy-user"},
    {'E', ValueHolds::kAfterColon, ValueStands::kEither, kCurlSwitches, "cert"},
    {'b', ValueHolds::kSecret, ValueStands::kEither, kCurlSwitches, "cookie"},
};
constexpr SecretOption kMysql[] = {
    {'p', ValueHolds::kSecret, ValueStands::kAttached, "ABCfHNrstvX", ""}};
constexpr SecretOption kSmallP[] = {{'p', ValueHolds::kSecret, ValueStands::kEither, "", ""}};
constexpr SecretOption kAttachedP[] = {{'p', ValueHolds::kSecret, ValueStands::kAttached, "", ""}};
constexpr SecretOption kLargeP[] = {{'P', ValueHolds::kSecret, ValueStands::kEither, "", ""}};
constexpr SecretOption kSmallA[] = {{'a', ValueHolds::kSecret, ValueStands::kNext, "", ""}};
constexpr SecretOption kHttp[] = {
    {'a', ValueHolds::kAfterColon, ValueStands::kEither, "bdfhv", "auth"}};
constexpr SecretOption kLdap[] = {{'w', ValueHolds::kSecret, ValueStands::kEither, "xZnvMc", ""}};
constexpr SecretOption kSmb[] = {
    {'U', ValueHolds::kAfterPercent, ValueStands::kEither, "", "user"}};
constexpr SecretOption kLftp[] = {{'u', ValueHolds::kAfterComma, ValueStands::kEither, "", "user"}};
constexpr SecretOption kOpenssl[] = {{'k', ValueHolds::kSecret, ValueStands::kNext, "", ""},
                                     {'K', ValueHolds::kSecret, ValueStands::kNext, "", ""}};
constexpr SecretOption kSshKeygen[] = {{'N', ValueHolds::kSecret, ValueStands::kEither, "", ""},
                                       {'P', ValueHolds::kSecret, ValueStands::kEither, "", ""}};
constexpr SecretOption kSnmp[] = {{'c', ValueHolds::kSecret, ValueStands::kEither, "", ""},
                                  {'A', ValueHolds::kSecret, ValueStands::kEither, "", ""},
                                  {'X', ValueHolds::kSecret, ValueStands::kEither, "", ""}};

constexpr ProgramOptions kPrograms[] = {
    {" curl ", std::begin(kCurl), std::end(kCurl)},
    {" mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlbinlog mysqlslap mycli "
     "mariadb mariadb-dump mariadb-admin mariadb-import mariadb-show mariadb-check "
     "mariadb-binlog mariadb-backup mydumper myloader ",
     std::begin(kMysql), std::end(kMysql)},
    {" sshpass mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop "
     "cqlsh cypher-shell rdesktop ncftp ncftpget ncftpput useradd usermod ",
     std::begin(kSmallP), std::end(kSmallP)},
    {" 7z 7za 7zr rar unrar ", std::begin(kAttachedP), std::end(kAttachedP)},
    {" zip unzip sqlcmd bcp tsql ipmitool ", std::begin(kLargeP), std::end(kLargeP)},
    {" redis-cli valkey-cli keydb-cli redis-benchmark ", std::begin(kSmallA), std::end(kSmallA)},
    {" http https xh xhs ", std::begin(kHttp), std::end(kHttp)},
    {" ldapsearch ldapadd ldapmodify ldapdelete ldapcompare ldapwhoami ldapmodrdn ldappasswd ",
     std::begin(kLdap), std::end(kLdap)},
    {" smbclient smbget rpcclient smbcacls smbpasswd ", std::begin(kSmb), std::end(kSmb)},
    {" lftp ", std::begin(kLftp), std::end(kLftp)},
    {" openssl ", std::begin(kOpenssl), std::end(kOpenssl)},
    {" ssh-keygen ", std::begin(kSshKeygen), std::end(kSshKeygen)},
    {" snmpget snmpgetnext snmpwalk snmpbulkget snmpbulkwalk snmpset snmptable snmptrap ",
     std::begin(kSnmp), std::end(kSnmp)},
    {" docker podman nerdctl buildah skopeo helm oras crane az oc ", std::begin(kSmallP),
     std::end(kSmallP), true},
};

absl::flat_hash_map<std::string, const ProgramOptions*> ByName() {
  absl::flat_hash_map<std::string, const ProgramOptions*> by_name;
  for (const ProgramOptions& program : kPrograms) {
    std::string_view names = program.names.substr(1);
    while (!names.empty()) {
      const size_t end = names.find(' ');
      by_name.emplace(std::string(names.substr(0, end)), &program);
      names.remove_prefix(end + 1);
    }
  }
  return by_name;
}

}  // namespace

const ProgramOptions* KnownProgram(std::string_view word) {
  static const auto& by_name = *new auto(ByName());
  const size_t slash = word.rfind('/');
  const std::string name(slash == word.npos ? word : word.substr(slash + 1));
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

}  // namespace vedette
