// WeChat messages as CSV, in the three layouts that are about:
//   PyWxDump       id,MsgSvrID,type_name,is_sender,talker,room_name,msg,src,CreateTime
//   older PyWxDump the same with one column `content` for msg and src
//   WeChatMsg      localId,TalkerId,Type,SubType,IsSender,CreateTime,Status,StrContent,StrTime,
//                  Remark,NickName,Sender
// Also after a spreadsheet has saved them: other dates, delimiters, character sets, and numbers
// that lost their last digits. docs/formats/chat-exports.md describes all of it.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>

#include "base/error.h"
#include "chats/ascii.h"
#include "chats/charset.h"
#include "chats/civil_time.h"
#include "chats/csv.h"
#include "chats/importer.h"
#include "chats/json_objects.h"
#include "chats/stickers.h"

namespace zhiyin::chats {
namespace {

enum Column {
  kLocalId,
  kServerId,
  kTypeName,
  kType,
  kSubType,
  kIsSender,
  kTalker,
  kRoom,
  kTalkerNumber,
  kText,
  kSource,
  kTime,
  kClock,
  kNickName,
  kRemark,
  kColumns
};

struct ColumnName {
  std::string_view name;  // lower case
  Column column;
  bool telling;  // enough of these in a header and the file is one of ours
};

constexpr ColumnName kColumnNames[] = {
    {"id", kLocalId, false},        {"localid", kLocalId, true},
    {"msgsvrid", kServerId, true},  {"type_name", kTypeName, true},
    {"type", kType, false},         {"subtype", kSubType, false},
    {"is_sender", kIsSender, true}, {"issender", kIsSender, true},
    {"talker", kTalker, true},      {"sender", kTalker, false},
    {"room_name", kRoom, true},     {"talkerid", kTalkerNumber, true},
    {"msg", kText, false},          {"content", kText, false},
    {"strcontent", kText, true},    {"src", kSource, false},
    {"createtime", kTime, true},    {"strtime", kClock, true},
    {"nickname", kNickName, false}, {"remark", kRemark, false},
};
constexpr int kTellingColumns = 2;

struct MessageType {
  std::string_view name;  // PyWxDump's type_name
  int type, subtype;      // WeChat's own numbers; -1: known by name alone
  MessageKind kind;
};

constexpr MessageType kTypes[] = {
    {"文本", 1, 0, MessageKind::kText},
    {"引用回复", 49, 57, MessageKind::kText},
    {"带有引用的文本消息", -1, -1, MessageKind::kText},
    {"动画表情", 47, 0, MessageKind::kSticker},
    {"用户上传的GIF表情", 49, 8, MessageKind::kSticker},
    {"图片", 3, 0, MessageKind::kPicture},
    {"视频", 43, 0, MessageKind::kVideo},
    {"语音", 34, 0, MessageKind::kVoice},
    {"语音通话", 50, 0, MessageKind::kCall},
    {"系统通知", 10000, 0, MessageKind::kNotice},
    {"拍一拍", 10000, 4, MessageKind::kNotice},
    {"邀请加群", 10000, 8000, MessageKind::kNotice},
    {"添加好友", 37, 0, MessageKind::kNotice},
    {"企业微信打招呼(猜)", 65, 0, MessageKind::kNotice},
    {"企业微信添加好友(猜)", 66, 0, MessageKind::kNotice},
    {"位置", 48, 0, MessageKind::kPlace},
    {"位置共享", 49, 17, MessageKind::kPlace},
    {"文件", 49, 0, MessageKind::kFile},
    {"文件", 49, 6, MessageKind::kFile},
    {"文件(猜)", 49, 74, MessageKind::kFile},
    {"转账", 49, 2000, MessageKind::kMoney},
    {"转账消息", -1, -1, MessageKind::kMoney},
    {"红包", 49, 2001, MessageKind::kMoney},
    {"赠送红包封面", 49, 2003, MessageKind::kMoney},
    {"名片", -1, -1, MessageKind::kContact},
    {"推荐公众号", 42, 0, MessageKind::kContact},
    {"(分享)音乐", 49, 3, MessageKind::kLink},
    {"(分享)音乐", 49, 76, MessageKind::kLink},
    {"(分享)卡片式链接", 49, 4, MessageKind::kLink},
    {"(分享)卡片式链接", 49, 5, MessageKind::kLink},
    {"卡片式链接", -1, -1, MessageKind::kLink},
    {"(分享)笔记", 49, 24, MessageKind::kLink},
    {"(分享)小程序", 49, 33, MessageKind::kLink},
    {"(分享)小程序", 49, 36, MessageKind::kLink},
    {"分享的小程序", -1, -1, MessageKind::kLink},
    {"(分享)收藏夹", 49, 40, MessageKind::kLink},
    {"(分享)小说(猜)", 49, 44, MessageKind::kLink},
    {"(分享)视频号名片", 49, 50, MessageKind::kLink},
    {"(分享)视频号视频", 49, 51, MessageKind::kLink},
    {"视频号直播或直播回放", 49, 63, MessageKind::kLink},
    {"视频号直播或直播回放等", 49, 88, MessageKind::kLink},
    {"合并转发的聊天记录", 49, 19, MessageKind::kForward},
    {"群公告", 49, 87, MessageKind::kForward},
    {"接龙", 49, 53, MessageKind::kForward},
    {"粘贴的文本", 49, 1, MessageKind::kForward},
    {"游戏相关", 49, 7, MessageKind::kForward},
};

// Line ends become "\n"; other control characters go, since no chat shows them.
std::string clean_text(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r') {
      if (i + 1 >= text.size() || text[i + 1] != '\n') out += '\n';
    } else if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
      out += c;
    }
  }
  return std::string(trim(out));
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// A spreadsheet keeps 15 digits of a number: 7431234567890123456 comes back as 7.43E+18 or as
// 7431234567890120000, and then different messages share an id. Such an id is worth nothing.
std::string trusted_id(std::string_view id) {
  constexpr size_t kSpreadsheetDigits = 15;
  if (!all_digits(id) || id.find_first_not_of('0') == std::string_view::npos) return {};
  const bool rounded = id.size() > kSpreadsheetDigits &&
                       id.find_first_not_of('0', kSpreadsheetDigits) == std::string_view::npos;
  return rounded ? std::string() : std::string(id);
}

std::optional<bool> parse_is_sender(std::string_view text) {
  const std::string value = ascii_lower(text);
  if (value == "1" || value == "true" || value == "1.0") return true;
  if (value == "0" || value == "false" || value == "0.0") return false;
  return std::nullopt;
}

// The value of name="…" in a piece of XML, with its entities resolved.
std::string xml_attribute(std::string_view xml, std::string_view name) {
  const std::string opener = cat(" ", name, "=\"");
  const size_t at = xml.find(opener);
  if (at == std::string_view::npos) return {};
  const size_t begin = at + opener.size();
  const size_t end = xml.find('"', begin);
  if (end == std::string_view::npos) return {};
  std::string value(xml.substr(begin, end - begin));
  for (size_t amp = 0; (amp = value.find("&amp;", amp)) != std::string::npos; ++amp) {
    value.erase(amp + 1, 4);
  }
  return value;
}

// The text of the first <name>…</name>.
std::string_view xml_element(std::string_view xml, std::string_view name) {
  const std::string opener = cat("<", name, ">"), closer = cat("</", name, ">");
  const size_t at = xml.find(opener);
  if (at == std::string_view::npos) return {};
  const size_t begin = at + opener.size();
  const size_t end = xml.find(closer, begin);
  return end == std::string_view::npos ? std::string_view() : xml.substr(begin, end - begin);
}

// "reply\n\n[引用](time)name:quoted" (PyWxDump) or the XML of the message (WeChatMsg).
void read_quote(Message& message, const std::string& text) {
  if (text.starts_with('<')) {
    message.text = clean_text(xml_element(text, "title"));
    message.quote_name = xml_element(text, "displayname");
    message.quote_text = clean_text(xml_element(xml_element(text, "refermsg"), "content"));
    return;
  }
  constexpr std::string_view kMark = "\n[引用](";
  const size_t mark = text.find(kMark);
  if (mark == std::string::npos) {
    message.text = text;
    return;
  }
  message.text = trim(std::string_view(text).substr(0, mark));
  std::string_view quote = std::string_view(text).substr(mark + kMark.size());
  quote.remove_prefix(std::min(quote.size(), quote.find(')')));
  if (!quote.empty()) quote.remove_prefix(1);
  const size_t colon = quote.find(':');
  if (colon == std::string_view::npos) return;
  message.quote_name = trim(quote.substr(0, colon));
  message.quote_text = trim(quote.substr(colon + 1));
}

void read_content(Message& message, const std::string& text, const std::string& source,
                  bool is_quote) {
  switch (message.kind) {
    case MessageKind::kText:
      if (is_quote) {
        read_quote(message, text);
      } else {
        message.text = text;
      }
      break;
    case MessageKind::kSticker: {
      // The address has a column of its own, is the whole content, or stands in the XML.
      const std::string inside = xml_attribute(text, "cdnurl");
      message.sticker_url = !source.empty() ? source : !inside.empty() ? inside : text;
      message.sticker_key = sticker_key(message.sticker_url);
      if (message.sticker_key.empty()) message.sticker_url.clear();
      break;
    }
    case MessageKind::kVoice: {
      constexpr std::string_view kTranscript = "翻译结果：";
      const size_t at = text.find(kTranscript);
      if (at != std::string::npos) message.text = trim(text.substr(at + kTranscript.size()));
      break;
    }
    case MessageKind::kLink:
      message.text = text.substr(0, text.find('\n'));
      break;
    case MessageKind::kNotice:
      if (text.find("revokemsg") != std::string::npos) message.kind = MessageKind::kRecall;
      message.text = text;
      break;
    case MessageKind::kForward:
    case MessageKind::kOther:
      message.text = text;
      break;
    default:  // what stands there, such as 图片 or an amount, was not said by anyone
      break;
  }
}

constexpr std::string_view kUsers = "users.json";

// users.json of PyWxDump: wxid -> {remark, nickname, …}. It stands beside the pages or one folder
// up; without it, people have their ids for names.
std::map<std::string, std::string> read_names(const InputFile& csv) {
  std::map<std::string, std::string> names;
  std::optional<InputFile> file = csv.sibling(kUsers);
  if (!file) file = csv.sibling(cat("../", kUsers));
  if (!file) return names;
  const Json users = parse_tolerantly(to_utf8(file->read_all()));
  check(users.is_object(), ErrorCode::kFailed, file->path(),
        ": is not a JSON object of people; correct it or take it away");
  for (const auto& [id, user] : users.items()) {
    for (const char* key : {"remark", "nickname"}) {
      const std::string text = text_field(user, key);
      if (!trim(text).empty() && names.emplace(id, trim(text)).second) break;
    }
  }
  return names;
}

// "wxid_a_0_5000.csv" -> "wxid_a": the talk, where no column names it.
std::string talk_from_path(const std::string& path) {
  std::string stem = std::filesystem::path(path).stem().string();
  for (int i = 0; i < 2; ++i) {
    const size_t underscore = stem.rfind('_');
    if (underscore == std::string::npos || underscore == 0) break;
    if (!all_digits(std::string_view(stem).substr(underscore + 1))) break;
    stem.resize(underscore);
  }
  return stem;
}

class WechatCsv {
 public:
  // file: nullptr while it is only to be recognised.
  WechatCsv(const InputFile* file, std::string_view text)
      : file_(file),
        path_(file != nullptr ? file->path() : std::string()),
        reader_(text, guess_delimiter(text)) {
    columns_.fill(-1);
    CsvRecord header;
    if (!reader_.next(header)) return;
    header_fields_ = header.fields.size();
    for (size_t i = 0; i < header.fields.size(); ++i) {
      const std::string name = ascii_lower(trim(header.fields[i]));
      for (const ColumnName& known : kColumnNames) {
        if (known.name != name || columns_[known.column] >= 0) continue;
        columns_[known.column] = static_cast<int>(i);
        if (known.telling) ++telling_;
      }
    }
  }

  bool recognised() const { return telling_ >= kTellingColumns; }

  void read(const MessageSink& sink) {
    check_columns();
    names_ = read_names(*file_);
    CsvRecord record;
    while (reader_.next(record)) sink(read_message(record));
  }

 private:
  bool has(Column column) const { return columns_[column] >= 0; }

  void check_columns() const {
    std::vector<std::string_view> missing;
    if (!has(kTypeName) && !has(kType)) missing.push_back("type_name (or Type)");
    if (!has(kIsSender)) missing.push_back("is_sender (or IsSender)");
    if (!has(kText)) missing.push_back("msg (or content, StrContent)");
    if (!has(kTime) && !has(kClock)) missing.push_back("CreateTime (or StrTime)");
    const bool one = missing.size() == 1;
    check(missing.empty(), ErrorCode::kFailed, path_, one ? ": the column " : ": the columns ",
          join(missing), one ? " is" : " are", " missing; export the chat again with all columns");
  }

  std::string_view field(const CsvRecord& record, Column column) const {
    if (!has(column)) return {};
    const auto index = static_cast<size_t>(columns_[column]);
    return index < record.fields.size() ? trim(record.fields[index]) : std::string_view();
  }

  const MessageType* find_type(const CsvRecord& record) const {
    if (const std::string_view name = field(record, kTypeName); !name.empty()) {
      for (const MessageType& type : kTypes) {
        if (type.name == name) return &type;
      }
      return nullptr;
    }
    const std::string_view type = field(record, kType), subtype = field(record, kSubType);
    for (const MessageType& known : kTypes) {
      if (known.type < 0 || std::to_string(known.type) != type) continue;
      if (std::to_string(known.subtype) == subtype || (subtype.empty() && known.subtype == 0)) {
        return &known;
      }
    }
    return nullptr;
  }

  void read_people(Message& message, const CsvRecord& record, bool is_sender) {
    std::string_view talk = field(record, kRoom);
    for (const Column column : {kRemark, kNickName, kTalkerNumber}) {
      if (talk.empty()) talk = field(record, column);
    }
    message.talk = talk.empty() ? talk_from_path(path_) : std::string(talk);
    message.group = message.talk.ends_with("@chatroom");
    if (message.kind == MessageKind::kNotice || message.kind == MessageKind::kRecall) return;
    message.side = is_sender ? Side::kOwner : Side::kOther;
    // In a talk of two is_sender tells who speaks, and `talker` may be 未知; the owner's own id
    // turns up as `talker` on some of his pictures, so it is never asked about him.
    message.sender = is_sender ? "me" : message.group ? field(record, kTalker) : message.talk;
    if (message.sender.empty()) message.sender = "未知";
    const auto name = names_.find(message.sender);
    message.sender_name = is_sender ? "我" : name != names_.end() ? name->second : message.sender;
  }

  Message read_message(const CsvRecord& record) {
    Message message;
    message.file = path_;
    message.line = record.line;
    message.time = last_time_;
    const std::optional<bool> is_sender = parse_is_sender(field(record, kIsSender));
    std::optional<int64_t> time = parse_time(field(record, kClock));
    if (!time) time = parse_time(field(record, kTime));
    // Some layouts have a value more than names, which is no harm; a comma that was not quoted
    // shows in the time, which stands behind the text.
    if (!is_sender || (!time && record.fields.size() != header_fields_)) {
      message.kind = MessageKind::kDamaged;
      message.talk = last_talk_.empty() ? talk_from_path(path_) : last_talk_;
      message.text = join(record.fields, ",");
      return message;
    }
    if (time) message.time = last_time_ = *time;  // else it keeps its place after the row before

    const MessageType* type = find_type(record);
    const std::string_view type_name = field(record, kTypeName);
    message.kind = type != nullptr                     ? type->kind
                   : type_name.starts_with("消息撤回") ? MessageKind::kRecall
                   : type_name.starts_with("(分享)")   ? MessageKind::kLink
                                                       : MessageKind::kOther;
    const bool is_quote =
        type != nullptr && (type->subtype == 57 || type->name == "带有引用的文本消息");
    read_content(message, clean_text(field(record, kText)), std::string(field(record, kSource)),
                 is_quote);
    message.local_id = field(record, kLocalId);
    message.server_id = trusted_id(field(record, kServerId));
    read_people(message, record, *is_sender);
    last_talk_ = message.talk;
    return message;
  }

  const InputFile* file_;
  std::string path_;
  CsvReader reader_;
  std::array<int, kColumns> columns_{};
  size_t header_fields_ = 0;
  int telling_ = 0;
  std::map<std::string, std::string> names_;
  int64_t last_time_ = 0;
  std::string last_talk_;
};

bool recognises(std::string_view head) {
  const std::string text = to_utf8(head);
  return WechatCsv(nullptr, text).recognised();
}

void read(const InputFile& file, const MessageSink& sink) {
  const std::string text = to_utf8(file.read_all());
  WechatCsv(&file, text).read(sink);
}

}  // namespace

extern const Importer wechat_csv_importer;
const Importer wechat_csv_importer = {
    "wechat-csv", "WeChat messages as CSV (PyWxDump, WeChatMsg)", recognises, read, {}, kUsers};

}  // namespace zhiyin::chats
