// SPDX-License-Identifier: Apache-2.0
#include "agent/deliver/spool_codec.h"

#include <zstd.h>

#include <utility>

#include "agent/base/status.h"

namespace vedette {

const char kSpoolDictionaryTables[] =
    "CREATE TABLE IF NOT EXISTS spool_dictionary(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);";

namespace {

// Some twenty events. Larger ones compress a little better and cost memory and time for each row.
constexpr size_t kDictionaryBytes = 32 << 10;
constexpr int kLevel = 3;
constexpr char kCompressed = '\0';
constexpr size_t kMaxEventBytes = 64 << 20;  // What a damaged row may ask for.

absl::StatusOr<std::string> ReadDictionary(SqliteDatabase& db) {
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement select,
                           db.Prepare("SELECT bytes FROM spool_dictionary WHERE id = 1"));
  VEDETTE_ASSIGN_OR_RETURN(const bool there, select.Step());
  return there ? select.Bytes(0) : std::string();
}

template <auto free>
struct Free {
  void operator()(auto* object) const { free(object); }
};

}  // namespace

struct SpoolEncoder::Zstd {
  std::unique_ptr<ZSTD_CCtx, Free<ZSTD_freeCCtx>> context{ZSTD_createCCtx()};
  std::unique_ptr<ZSTD_CDict, Free<ZSTD_freeCDict>> dictionary;
};

SpoolEncoder::SpoolEncoder(SqliteDatabase& db) : db_(&db), zstd_(std::make_unique<Zstd>()) {}
SpoolEncoder::SpoolEncoder(SpoolEncoder&&) noexcept = default;
SpoolEncoder::~SpoolEncoder() = default;

absl::StatusOr<SpoolEncoder> SpoolEncoder::Open(SqliteDatabase& db) {
  SpoolEncoder encoder(db);
  VEDETTE_ASSIGN_OR_RETURN(encoder.dictionary_, ReadDictionary(db));
  VEDETTE_ASSIGN_OR_RETURN(SqliteStatement is_kept,
                           db.Prepare("SELECT 1 FROM spool_dictionary WHERE id = 1"));
  encoder.is_kept_ = std::make_unique<SqliteStatement>(std::move(is_kept));
  return encoder;
}

absl::StatusOr<std::string> SpoolEncoder::Encode(std::string bytes) {
  if (dictionary_.size() < kDictionaryBytes) {
    dictionary_ += bytes;
    return bytes;
  }
  if (!zstd_->dictionary) {
    zstd_->dictionary.reset(ZSTD_createCDict(dictionary_.data(), dictionary_.size(), kLevel));
  }
  // Asked each time: the transaction that it was kept in may have been rolled back.
  VEDETTE_ASSIGN_OR_RETURN(const bool is_kept, is_kept_->Step());
  is_kept_->Reset();
  if (!is_kept) {
    VEDETTE_ASSIGN_OR_RETURN(SqliteStatement keep,
                             db_->Prepare("INSERT INTO spool_dictionary(id, bytes) VALUES(1, ?)"));
    VEDETTE_RETURN_IF_ERROR(keep.BindBlob(1, dictionary_).Run());
  }
  std::string row(1 + ZSTD_compressBound(bytes.size()), kCompressed);
  const size_t size = ZSTD_compress_usingCDict(zstd_->context.get(), row.data() + 1, row.size() - 1,
                                               bytes.data(), bytes.size(), zstd_->dictionary.get());
  if (ZSTD_isError(size) != 0 || size + 1 >= bytes.size()) {
    return bytes;
  }
  row.resize(size + 1);
  return row;
}

struct SpoolDecoder::Zstd {
  std::unique_ptr<ZSTD_DCtx, Free<ZSTD_freeDCtx>> context{ZSTD_createDCtx()};
  std::unique_ptr<ZSTD_DDict, Free<ZSTD_freeDDict>> dictionary;
};

SpoolDecoder::SpoolDecoder(SqliteDatabase& db) : db_(&db), zstd_(std::make_unique<Zstd>()) {}
SpoolDecoder::SpoolDecoder(SpoolDecoder&&) noexcept = default;
SpoolDecoder::~SpoolDecoder() = default;

std::optional<std::string> SpoolDecoder::Decode(std::string row) {
  if (row.empty() || row.front() != kCompressed) {
    return row;
  }
  if (!zstd_->dictionary) {
    const absl::StatusOr<std::string> dictionary = ReadDictionary(*db_);
    if (!dictionary.ok() || dictionary->empty()) {
      return std::nullopt;
    }
    zstd_->dictionary.reset(ZSTD_createDDict(dictionary->data(), dictionary->size()));
  }
  const unsigned long long size = ZSTD_getFrameContentSize(row.data() + 1, row.size() - 1);
  if (size > kMaxEventBytes) {  // The values that stand for errors too.
    return std::nullopt;
  }
  std::string bytes(size, '\0');
  const size_t got =
      ZSTD_decompress_usingDDict(zstd_->context.get(), bytes.data(), bytes.size(), row.data() + 1,
                                 row.size() - 1, zstd_->dictionary.get());
  if (got != size) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace vedette
