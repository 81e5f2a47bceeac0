package inspect

import (
	"context"
	"encoding/json"
	"time"
)

// Tools are the operations. All of them return when ctx ends, and an *Error for what people can do something about.
type Tools interface {
	Get(ctx context.Context, q Query) (*Found, error)
	Put(ctx context.Context, w Write) (*Stored, error)
	Ping(ctx context.Context, q PingQuery) (*Pong, error)
	Peers(ctx context.Context) (*Peers, error)
	Table(ctx context.Context) (*Table, error)
	Trace(ctx context.Context, q Query) (*Trace, error)
	Crawl(ctx context.Context, q CrawlQuery) (*Graph, error)
}

// Query asks for a key.
type Query struct {
	Key    string `json:"key"`              // 40 hex digits
	Latest bool   `json:"latest,omitempty"` // ask all holders and return the newest, instead of the first that is found
	Fresh  bool   `json:"fresh,omitempty"`  // leave the node's cache out
	Paths  int    `json:"paths,omitempty"`  // disjoint paths of the search; 0: as configured
}

// Write is a record to store.
type Write struct {
	Key    string  `json:"key"`              // 40 hex digits
	Subkey []byte  `json:"subkey,omitempty"` // packed; none: a regular value
	Sign   bool    `json:"sign,omitempty"`   // the subkey is text or bytes and gets the node's owner marker, so that nobody else can write there
	Value  []byte  `json:"value"`            // packed
	Life   float64 `json:"life_seconds"`     // from now
	Region bool    `json:"region,omitempty"` // at all nodes around the key, not only at the nearest
}

// PingQuery names a peer to call: by peer ID, or by a multiaddr that ends in /p2p/<peer ID>.
type PingQuery struct {
	Peer     string `json:"peer"`
	CallBack bool   `json:"call_back,omitempty"` // let the peer try to reach this node
}

// CrawlQuery bounds a crawl.
type CrawlQuery struct {
	MaxNodes int `json:"max_nodes,omitempty"` // 0: 1,000
}

// Found is what a key holds.
type Found struct {
	Key     string          `json:"key"`
	Value   json.RawMessage `json:"value,omitempty"` // of a regular value; see ToJSON
	Expires time.Time       `json:"expires"`         // of a dictionary: of the entry that lives longest
	Entries []FoundEntry    `json:"entries,omitempty"`
	Took    float64         `json:"took_ms"`
}

// FoundEntry is one entry of a dictionary.
type FoundEntry struct {
	Subkey    json.RawMessage `json:"subkey"`
	Owner     string          `json:"owner,omitempty"` // peer whose signature protects the entry
	Value     json.RawMessage `json:"value"`
	Expires   time.Time       `json:"expires"`
	Heartbeat *Heartbeat      `json:"heartbeat,omitempty"` // the value, read as the sign of life that it is
}

// Heartbeat is a node's sign of life in words.
type Heartbeat struct {
	State      string  `json:"state"`
	Role       string  `json:"role"`
	Throughput float64 `json:"throughput"`
	PublicName string  `json:"public_name,omitempty"`
	Version    string  `json:"version,omitempty"`
	UsingRelay bool    `json:"using_relay"`
	Epoch      *uint32 `json:"epoch,omitempty"` // in which it was written; Python nodes do not say it
	// Behind is how many seconds earlier than the newest heartbeat this one ends: its age, as far as readers can know it, when all
	// nodes beat at one pace.
	Behind float64 `json:"behind_s"`
}

// Stored is what became of a write.
type Stored struct {
	Key      string          `json:"key"`
	Subkey   json.RawMessage `json:"subkey,omitempty"` // with the owner marker
	OK       bool            `json:"ok"`
	Wanted   int             `json:"wanted"`
	Accepted int             `json:"accepted"`
	Older    int             `json:"older"` // replicas that hold a newer version
	Answers  []Replica       `json:"answers"`
	Reason   string          `json:"reason,omitempty"` // why it is not OK
	Expires  time.Time       `json:"expires"`
	Took     float64         `json:"took_ms"`
}

// Replica is what one node said to a write.
type Replica struct {
	Peer   string `json:"peer"`
	OK     bool   `json:"ok"`
	Answer string `json:"answer"`
}

// Pong is the answer to a ping.
type Pong struct {
	Peer      string  `json:"peer"`
	ID        string  `json:"id,omitempty"` // place in the key space; none: a client, which is in nobody's table
	RTT       float64 `json:"rtt_ms"`
	Offset    float64 `json:"clock_offset_ms"` // how far its clock is ahead
	Available *bool   `json:"available,omitempty"`
}

// Peers are the peers that a node is connected to or has in its table.
type Peers struct {
	Self    string         `json:"self"`
	Peers   []Peer         `json:"peers"`
	Refused map[string]int `json:"refused"` // connections by reason
	Latest  []Refused      `json:"refusals"`
}

// Peer is one of them.
type Peer struct {
	Peer      string   `json:"peer"`
	Connected bool     `json:"connected"`
	Inbound   bool     `json:"inbound,omitempty"` // it came to us
	Addrs     []string `json:"addrs,omitempty"`   // of the connections
	Agent     string   `json:"agent,omitempty"`   // what it calls itself
	InTable   bool     `json:"in_table"`
	RTT       float64  `json:"rtt_ms,omitempty"`
	About     string   `json:"about,omitempty"` // what the chain has on it
}

// Refused is a connection that was not admitted.
type Refused struct {
	Peer    string    `json:"peer"`
	Inbound bool      `json:"inbound"`
	Reason  string    `json:"reason"`
	About   string    `json:"about,omitempty"`
	At      time.Time `json:"at"`
}

// Table is a routing table.
type Table struct {
	Self        string   `json:"self"`
	ID          string   `json:"id"`
	Live        int      `json:"live"`
	Spare       int      `json:"spare"`
	NetworkSize float64  `json:"network_size"` // estimate; 0 while there is none
	Banned      int      `json:"banned"`       // left out of searches for a while
	Buckets     []Bucket `json:"buckets"`

	Offenders []Offender `json:"offenders"` // peers that sent lately what no honest node sends, the worst first
}

// Offender is a peer with a bad score.
type Offender struct {
	Peer    string    `json:"peer"`
	Score   float64   `json:"score"` // 0 is good, -100 is refused
	Last    string    `json:"last"`  // its last offence
	Shunned time.Time `json:"shunned,omitzero"`
	About   string    `json:"about,omitempty"`
}

// Bucket is a range of the space.
type Bucket struct {
	Prefix  string    `json:"prefix"` // hex; its first Depth bits are those of all contacts
	Depth   int       `json:"depth"`
	Own     bool      `json:"own"` // the node itself lies here
	Updated time.Time `json:"updated,omitzero"`
	Live    []Contact `json:"live"`
	Spare   []Contact `json:"spare"`
	Refused []Refused `json:"refused"`
}

// Contact is a peer in a table.
type Contact struct {
	Peer     string    `json:"peer"`
	ID       string    `json:"id"`
	Addr     string    `json:"addr,omitempty"`
	Bound    bool      `json:"bound"` // its ID follows from its peer ID
	Verified bool      `json:"verified"`
	RTT      float64   `json:"rtt_ms"`
	Failures int       `json:"failures"`
	LastSeen time.Time `json:"last_seen,omitzero"`
}

// Trace is a search made visible.
type Trace struct {
	Key      string   `json:"key"`
	Found    *Found   `json:"found,omitempty"`
	Reason   string   `json:"reason"` // why the search stopped
	Asked    int      `json:"asked"`
	Answered int      `json:"answered"`
	Failed   int      `json:"failed"`
	Hops     int      `json:"hops"`
	Restarts int      `json:"restarts"`         // times that a path dropped implausible contacts
	Doubts   []string `json:"doubts,omitempty"` // why it was searched again, each time more widely
	Took     float64  `json:"took_ms"`
	Steps    []Step   `json:"steps"`
	Nearest  []string `json:"nearest"` // peers, nearest first
}

// Step is one question of a search.
type Step struct {
	Seq     int     `json:"seq"`
	Peer    string  `json:"peer"`
	ID      string  `json:"id"`
	Common  int     `json:"common_bits"` // leading bits that it shares with the key
	Look    int     `json:"look"`        // 0 is the first; each doubt leads to another one
	Path    int     `json:"path"`
	Hop     int     `json:"hop"`  // 1 is from the table
	From    string  `json:"from"` // peer that named it; empty: from the table
	Start   float64 `json:"start_ms"`
	Took    float64 `json:"took_ms"`
	Result  string  `json:"result"` // "answered", or why not
	Detail  string  `json:"detail,omitempty"`
	Learned int     `json:"learned"` // contacts that were new
	Nearer  int     `json:"nearer"`  // of these, nearer to the key than it
	Value   bool    `json:"value"`   // it had the value
}

// Graph is the swarm as its members see each other.
type Graph struct {
	Nodes []Member `json:"nodes"`
	Links [][2]int `json:"links"` // who names whom, as positions in Nodes
	Took  float64  `json:"took_ms"`
	Cut   bool     `json:"cut"` // there were more nodes than the crawl was allowed to visit
}

// Member is a node of the swarm.
type Member struct {
	Peer  string   `json:"peer"`
	ID    string   `json:"id"`
	Self  bool     `json:"self,omitempty"`
	Addrs []string `json:"addrs,omitempty"`
	RTT   float64  `json:"rtt_ms"`
	Error string   `json:"error,omitempty"` // why it did not answer
	About string   `json:"about,omitempty"`
}

// Code classes an Error.
type Code string

// The codes.
const (
	CodeBadRequest   Code = "bad_request"  // it makes no sense
	CodeUnauthorized Code = "unauthorized" // the token is missing or wrong
	CodeForbidden    Code = "forbidden"    // from a web page, or for another host
	CodeNotFound     Code = "not_found"    // no value, or no such peer
	CodeRefused      Code = "refused"      // no node accepted the record
	CodeTooLarge     Code = "too_large"    // beyond a limit
	CodeNotReady     Code = "not_ready"    // the node has not joined yet
	CodeBusy         Code = "busy"         // too many operations at once
	CodeTimeout      Code = "timeout"      // not done in time
	CodeUnreachable  Code = "unreachable"  // a peer does not answer
	CodeInternal     Code = "internal"
)

// Error is a failure with a text for people.
type Error struct {
	Code Code   `json:"code"`
	Text string `json:"error"`
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }
